//! The connection to the API server, with every request counted.

use crate::metrics::{ApiRequest, Metrics};
use ::http::{Method, Request};
use kube::client::{Body, Client, ClientBuilder};
use kube::config::Config;
use std::time::Duration;
use tower::timeout::TimeoutLayer;
use tower::util::MapRequestLayer;

/// To connect to the API server: an address that answers nothing, as a Service's before kube-proxy knows it, is soon tried
/// again.
const CONNECTION: Duration = Duration::from_secs(5);
/// Until an answer begins. A watch's answer begins at once and goes on for as long as it may.
const ANSWER: Duration = Duration::from_secs(20);

/// A client of the cluster that the environment names: in a pod that cluster, else the current context of `KUBECONFIG`.
pub async fn connect(metrics: &Metrics) -> anyhow::Result<Client> {
    let mut config = Config::infer().await?;
    config.connect_timeout = Some(CONNECTION);
    let requests = metrics.api_requests.clone();
    let count = MapRequestLayer::new(move |request: Request<Body>| {
        requests
            .get_or_create(&classify(request.method(), request.uri()))
            .inc();
        request
    });
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&TimeoutLayer::new(ANSWER))
        .with_layer(&count)
        .build())
}

/// The verb and the resource of a request as RBAC names them; nothing that grows with the number of objects.
pub fn classify(method: &Method, uri: &::http::Uri) -> ApiRequest {
    let mut parts = uri.path().split('/').filter(|part| !part.is_empty());
    // `api/<version>` or `apis/<group>/<version>`.
    let prefix = if parts.next() == Some("apis") { 2 } else { 1 };
    let mut parts = parts.skip(prefix).peekable();
    if parts.peek() == Some(&"namespaces") {
        parts.next();
        parts.next();
    }
    let resource = parts.next().unwrap_or("discovery");
    let named = parts.next().is_some();
    let resource = match parts.next() {
        Some(subresource) => format!("{resource}/{subresource}"),
        None => resource.to_owned(),
    };
    let watch = uri
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
    let verb = match *method {
        Method::GET if watch => "watch",
        Method::GET if named => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        _ => "other",
    };
    ApiRequest { verb, resource }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::classify;
    use ::http::Method;

    #[test]
    fn requests_are_named_as_rbac_names_them() {
        for (method, uri, verb, resource) in [
            (
                Method::GET,
                "/api/v1/pods?watch=true&limit=5",
                "watch",
                "pods",
            ),
            (
                Method::GET,
                "/api/v1/namespaces/n/secrets?limit=5",
                "list",
                "secrets",
            ),
            (
                Method::GET,
                "/api/v1/namespaces/n/secrets/s",
                "get",
                "secrets",
            ),
            (
                Method::POST,
                "/apis/events.k8s.io/v1/namespaces/n/events?",
                "create",
                "events",
            ),
            (
                Method::PATCH,
                "/apis/apps/v1/namespaces/n/statefulsets/s?force=true",
                "patch",
                "statefulsets",
            ),
            (
                Method::PUT,
                "/apis/cachebus.dev/v1alpha1/namespaces/n/cachebuses/b/status",
                "update",
                "cachebuses/status",
            ),
            (
                Method::DELETE,
                "/api/v1/namespaces/n/secrets/s",
                "delete",
                "secrets",
            ),
        ] {
            let request = classify(&method, &uri.parse().unwrap());
            assert_eq!(
                (request.verb, request.resource.as_str()),
                (verb, resource),
                "{uri}"
            );
        }
    }
}

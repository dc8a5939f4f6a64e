//! What the API server was asked, from its own audit log.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use http_body_util::BodyExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::client::Body;
use kube::{Api, Client, ResourceExt as _};
use serde::Deserialize;

/// The log's path below the node's `/var/log`, as the lab configures it.
const LOG: &str = "kubernetes/audit.log";

/// A place in the log: what follows it is newer.
#[derive(Clone)]
pub struct Audit {
    client: Client,
    node: String,
    from: u64,
}

/// One request, as the log tells it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    stage: String,
    verb: String,
    user: User,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    username: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

/// Something that a role can grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    verb: String,
    group: String,
    /// With its subresource: `cachebuses/status`.
    resource: String,
}

impl Right {
    pub fn new(verb: &str, group: &str, resource: &str) -> Self {
        Self {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
        }
    }
}

/// What one user asked for.
#[derive(Debug, Default)]
pub struct Asked {
    /// Requests for its Lease. None: the log does not tell of it.
    pub leases: u32,
    /// Reads, Lease aside, by kind: `list pods`.
    pub reads: BTreeMap<String, u32>,
    /// Writes, Lease aside, each with its object.
    pub writes: Vec<String>,
}

impl Audit {
    /// The end of the log as it is now.
    pub async fn now(client: &Client) -> anyhow::Result<Self> {
        let control_planes = ListParams::default().labels("node-role.kubernetes.io/control-plane");
        let nodes = Api::<Node>::all(client.clone())
            .list(&control_planes)
            .await?;
        let node = nodes
            .items
            .first()
            .context("the cluster has no control plane node")?
            .name_any();
        let mut audit = Self {
            client: client.clone(),
            node,
            from: 0,
        };
        audit.from = audit.size().await?;
        Ok(audit)
    }

    /// What `user` asked for since.
    pub async fn asked(&self, user: &str) -> anyhow::Result<Asked> {
        let mut asked = Asked::default();
        for request in self.requests(user).await? {
            asked.add(&request);
        }
        Ok(asked)
    }

    /// The rights of which `user` has made use since, or would have if it had them.
    pub async fn rights(&self, user: &str) -> anyhow::Result<BTreeSet<Right>> {
        let requests = self.requests(user).await?;
        Ok(requests.iter().flat_map(Request::rights).collect())
    }

    async fn requests(&self, user: &str) -> anyhow::Result<Vec<Request>> {
        let size = self.size().await?;
        ensure!(size >= self.from, "the audit log was rotated meanwhile");
        let mut requests = Vec::new();
        if size == self.from {
            return Ok(requests);
        }
        let (_, text) = self
            .fetch(&format!("bytes={}-{}", self.from, size - 1))
            .await?;
        for line in text.lines() {
            let request: Request = serde_json::from_str(line).context("a line of the audit log")?;
            if request.user.username == user {
                requests.push(request);
            }
        }
        Ok(requests)
    }

    async fn size(&self) -> anyhow::Result<u64> {
        let (range, _) = self.fetch("bytes=0-0").await?;
        let size = range.rsplit('/').next().context("an empty Content-Range")?;
        size.parse()
            .with_context(|| format!("Content-Range {range}"))
    }

    async fn fetch(&self, range: &str) -> anyhow::Result<(String, String)> {
        let path = format!("/api/v1/nodes/{}/proxy/logs/{LOG}", self.node);
        let request = http::Request::get(path)
            .header(http::header::RANGE, range)
            .body(Body::empty())?;
        let response = self.client.send(request).await?;
        ensure!(
            response.status() == http::StatusCode::PARTIAL_CONTENT,
            "the audit log of {}: {}",
            self.node,
            response.status()
        );
        let range = response
            .headers()
            .get(http::header::CONTENT_RANGE)
            .context("no Content-Range")?
            .to_str()?
            .to_owned();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((range, String::from_utf8_lossy(&body).into_owned()))
    }
}

impl Request {
    /// What it is asked of, with its subresource.
    fn resource(&self) -> String {
        let ObjectRef {
            resource,
            subresource,
            ..
        } = &self.object_ref;
        if subresource.is_empty() {
            resource.clone()
        } else {
            format!("{resource}/{subresource}")
        }
    }

    /// What it takes to be granted: an apply that makes an object takes two rights. None: everybody may do it.
    fn rights(&self) -> Vec<Right> {
        const CREATED: u16 = 201;
        let of = |verb| Right::new(verb, &self.object_ref.api_group, &self.resource());
        match self.verb.as_str() {
            _ if self.object_ref.resource.is_empty() => Vec::new(),
            "patch" if self.response_status.code == CREATED => vec![of("patch"), of("create")],
            verb => vec![of(verb)],
        }
    }
}

impl Asked {
    fn add(&mut self, request: &Request) {
        let Request {
            stage,
            verb,
            object_ref,
            ..
        } = request;
        let begun = if verb == "watch" {
            "ResponseStarted"
        } else {
            "ResponseComplete"
        };
        if stage != begun {
            return;
        }
        if object_ref.resource == "leases" {
            self.leases += 1;
            return;
        }
        let ObjectRef {
            namespace, name, ..
        } = object_ref;
        let kind = request.resource();
        match verb.as_str() {
            "get" | "list" | "watch" => {
                *self.reads.entry(format!("{verb} {kind}")).or_default() += 1;
            }
            _ => self
                .writes
                .push(format!("{verb} {kind} {namespace}/{name}")),
        }
    }

    /// All reads.
    pub fn reads(&self) -> u32 {
        self.reads.values().sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn request(stage: &str, verb: &str, resource: &str) -> Request {
        serde_json::from_value(serde_json::json!({
            "stage": stage, "verb": verb, "user": {"username": "operator"},
            "objectRef": {"resource": resource, "namespace": "n", "name": "o"},
        }))
        .unwrap()
    }

    #[test]
    fn a_watch_counts_when_it_begins_and_a_lease_never() {
        let mut asked = Asked::default();
        for each in [
            request("ResponseStarted", "watch", "pods"),
            request("ResponseComplete", "watch", "pods"),
            request("ResponseComplete", "update", "leases"),
            request("ResponseComplete", "patch", "services"),
        ] {
            asked.add(&each);
        }
        assert_eq!(asked.leases, 1);
        assert_eq!(asked.reads(), 1);
        assert_eq!(asked.writes, ["patch services n/o"]);
    }

    #[test]
    fn an_apply_that_makes_an_object_takes_the_right_to_create_it_too() {
        let mut apply = request("ResponseComplete", "patch", "services");
        apply.object_ref.subresource = "status".to_owned();
        let right = |verb| Right::new(verb, "", "services/status");
        assert_eq!(apply.rights(), [right("patch")]);
        apply.response_status.code = 201;
        assert_eq!(apply.rights(), [right("patch"), right("create")]);
        // As for `/version`.
        assert_eq!(request("ResponseComplete", "get", "").rights(), []);
    }
}

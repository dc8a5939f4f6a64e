//! Sessions with servers, Sentinels and agents, straight into their pods: no Service, no policy and no route is in the way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use cachebus_core::names::{API_PORT, Component, HTTP_PORT};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, RedisConnectionInfo};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::access::Access;

/// The operator's and the agents' own user.
pub const OPERATOR: &str = "operator";

/// A user of the scenarios' own, see [`Node::open_root`].
const ROOT: &str = "e2e-root";

/// Time for a connection, and for each command.
const LIMIT: Duration = Duration::from_secs(5);

/// Bytes to and from a port of a pod.
pub trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Bytes for T {}

/// Where a server listens.
#[derive(Clone, Debug)]
pub struct Place {
    pub component: Component,
    pub pod: String,
    pub port: u16,
    pub tls: bool,
}

/// A session with a server or a Sentinel.
pub struct Node {
    pub pod: String,
    connection: MultiplexedConnection,
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Node {
    /// Logs in as `user` with the password of the credentials Secret.
    pub async fn open(
        client: &Client,
        access: &Access,
        place: &Place,
        user: &str,
    ) -> anyhow::Result<Self> {
        let opening = async {
            let tls = place.tls.then_some(&access.tls);
            let stream = dial(client, access, place, tls).await?;
            Self::over(stream, access, place, user, LIMIT).await
        };
        tokio::time::timeout(LIMIT, opening)
            .await
            .map_err(|_| anyhow::anyhow!("no answer within {} s", LIMIT.as_secs()))
            .flatten()
            .with_context(|| format!("{}:{} as {user}", place.pod, place.port))
    }

    /// The same over bytes to the place, with a time for each command.
    pub async fn over(
        stream: Box<dyn Bytes>,
        access: &Access,
        place: &Place,
        user: &str,
        limit: Duration,
    ) -> anyhow::Result<Self> {
        let login = RedisConnectionInfo::default()
            .set_username(user)
            .set_password(access.password(user)?)
            .set_skip_set_lib_name();
        let patient = AsyncConnectionConfig::new().set_response_timeout(Some(limit));
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&login, stream, patient).await?;
        Ok(Self {
            pod: place.pod.clone(),
            connection,
            driver: tokio::spawn(driver),
        })
    }

    /// Logs in as the operator's user, makes a user who may do everything, and goes on as that one. Agents remove users that
    /// nobody ordered, and their sessions with them: this is for a moment's work.
    pub async fn open_root(
        client: &Client,
        access: &Access,
        place: &Place,
    ) -> anyhow::Result<Self> {
        let node = Self::open(client, access, place, OPERATOR).await?;
        node.call::<()>(&[
            "ACL",
            "SETUSER",
            ROOT,
            "on",
            &format!(">{ROOT}"),
            "~*",
            "&*",
            "+@all",
        ])
        .await?;
        node.call::<()>(&["AUTH", ROOT, ROOT]).await?;
        Ok(node)
    }

    /// Runs a command, as it would be typed.
    pub async fn call<T: FromRedisValue>(&self, command: &[&str]) -> anyhow::Result<T> {
        let mut typed = redis::Cmd::new();
        for word in command {
            typed.arg(*word);
        }
        typed
            .query_async(&mut self.connection.clone())
            .await
            .with_context(|| format!("{command:?} on {}", self.pod))
    }

    /// All settings.
    pub async fn config(&self) -> anyhow::Result<BTreeMap<String, String>> {
        self.call(&["CONFIG", "GET", "*"]).await
    }

    /// The lines `name:value` of a section of `INFO`.
    pub async fn info(&self, section: &str) -> anyhow::Result<BTreeMap<String, String>> {
        let text: String = self.call(&["INFO", section]).await?;
        Ok(text
            .lines()
            .filter_map(|line| line.trim_end().split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }

    /// `master` or `slave`.
    pub async fn role(&self) -> anyhow::Result<String> {
        let reply: Vec<redis::Value> = self.call(&["ROLE"]).await?;
        let word = reply
            .into_iter()
            .next()
            .context("an empty answer to ROLE")?;
        Ok(redis::from_redis_value(word)?)
    }

    /// The rules of each user, in one order on every node.
    pub async fn users(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let lines: Vec<String> = self.call(&["ACL", "LIST"]).await?;
        lines
            .into_iter()
            .map(|line| {
                let rest = line.strip_prefix("user ").context("a line of ACL LIST")?;
                let (name, rules) = rest.split_once(' ').context("a user without rules")?;
                Ok((name.to_owned(), canonical(rules)))
            })
            .collect()
    }

    /// What a Sentinel knows of the primary of this name.
    pub async fn monitored(&self, master_name: &str) -> anyhow::Result<BTreeMap<String, String>> {
        self.call(&["SENTINEL", "MASTER", master_name]).await
    }

    /// What a Sentinel knows of the replicas, or of the other Sentinels (`REPLICAS`, `SENTINELS`).
    pub async fn known(
        &self,
        what: &str,
        master_name: &str,
    ) -> anyhow::Result<Vec<BTreeMap<String, String>>> {
        self.call(&["SENTINEL", what, master_name]).await
    }
}

/// The rules of a user with the words of each part sorted: Redis 7.0 prints commands in the order of a hash table.
fn canonical(rules: &str) -> String {
    let parts = rules.split(['(', ')']).map(|part| {
        let mut words: Vec<&str> = part.split_whitespace().collect();
        words.sort_unstable();
        words.join(" ")
    });
    parts.collect::<Vec<_>>().join("|")
}

/// The names of the users that are not the same in both.
pub fn differing<'a>(
    one: &'a BTreeMap<String, String>,
    other: &'a BTreeMap<String, String>,
) -> BTreeSet<&'a String> {
    one.keys()
        .chain(other.keys())
        .filter(|user| one.get(*user) != other.get(*user))
        .collect()
}

/// A byte stream to a place, in TLS where `tls` is given: the pod's own name is verified.
pub async fn dial(
    client: &Client,
    access: &Access,
    place: &Place,
    tls: Option<&Arc<ClientConfig>>,
) -> anyhow::Result<Box<dyn Bytes>> {
    let stream = dial_plain(client, access.names.namespace(), &place.pod, place.port).await?;
    match tls {
        Some(tls) => secure(stream, access, place, tls).await,
        None => Ok(stream),
    }
}

/// TLS over a byte stream to a place: the pod's own name is verified.
async fn secure(
    stream: Box<dyn Bytes>,
    access: &Access,
    place: &Place,
    tls: &Arc<ClientConfig>,
) -> anyhow::Result<Box<dyn Bytes>> {
    Ok(Box::new(shaken_hands(stream, access, place, tls).await?))
}

/// The certificate that a place shows, DER.
pub async fn served(client: &Client, access: &Access, place: &Place) -> anyhow::Result<Vec<u8>> {
    let stream = dial_plain(client, access.names.namespace(), &place.pod, place.port).await?;
    let secured = shaken_hands(stream, access, place, &access.tls).await?;
    let chain = secured.get_ref().1.peer_certificates();
    let leaf = chain.and_then(<[_]>::first).context("no certificate")?;
    Ok(leaf.to_vec())
}

async fn shaken_hands(
    stream: Box<dyn Bytes>,
    access: &Access,
    place: &Place,
    tls: &Arc<ClientConfig>,
) -> anyhow::Result<TlsStream<Box<dyn Bytes>>> {
    let name = access.names.pod_fqdn(place.component, &place.pod);
    TlsConnector::from(Arc::clone(tls))
        .connect(ServerName::try_from(name)?, stream)
        .await
        .with_context(|| format!("TLS with {}:{}", place.pod, place.port))
}

/// A byte stream to a place straight from this machine, no API server in the way. In TLS where the place speaks it.
pub async fn direct(
    client: &Client,
    access: &Access,
    place: &Place,
) -> anyhow::Result<Box<dyn Bytes>> {
    let address = address(client, access.names.namespace(), &place.pod).await?;
    to_address(&address, access, place).await
}

/// The same to an address that is known.
pub async fn to_address(
    address: &str,
    access: &Access,
    place: &Place,
) -> anyhow::Result<Box<dyn Bytes>> {
    let stream: Box<dyn Bytes> = Box::new(TcpStream::connect((address, place.port)).await?);
    if place.tls {
        secure(stream, access, place, &access.tls).await
    } else {
        Ok(stream)
    }
}

/// The address of a pod.
pub async fn address(client: &Client, namespace: &str, pod: &str) -> anyhow::Result<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let status = pods.get(pod).await?.status;
    let address = status.and_then(|status| status.pod_ip);
    address.with_context(|| format!("{pod} has no address"))
}

/// A byte stream to a port of a pod.
pub async fn dial_plain(
    client: &Client,
    namespace: &str,
    pod: &str,
    port: u16,
) -> anyhow::Result<Box<dyn Bytes>> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let mut forward = pods
        .portforward(pod, &[port])
        .await
        .with_context(|| format!("reaching {pod}:{port}"))?;
    let stream = forward
        .take_stream(port)
        .with_context(|| format!("no stream to {pod}:{port}"))?;
    Ok(Box::new(stream))
}

/// `/metrics`, `/readyz` … of a pod's agent: the body, where the status is 200.
pub async fn agent_http(
    client: &Client,
    namespace: &str,
    pod: &str,
    path: &str,
) -> anyhow::Result<String> {
    let stream = dial_plain(client, namespace, pod, HTTP_PORT).await?;
    get(stream, path)
        .await
        .with_context(|| format!("{path} of {pod}"))
}

/// What a pod's agent reports to the operator.
pub async fn agent_status(
    client: &Client,
    access: &Access,
    component: Component,
    pod: &str,
) -> anyhow::Result<String> {
    let place = Place {
        component,
        pod: pod.to_owned(),
        port: API_PORT,
        tls: true,
    };
    let stream = dial(client, access, &place, Some(&access.operator_tls)).await?;
    get(stream, "/v1/status")
        .await
        .with_context(|| format!("status of {pod}"))
}

async fn get(mut stream: Box<dyn Bytes>, path: &str) -> anyhow::Result<String> {
    let exchange = async {
        let request = format!("GET {path} HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut reply = Vec::new();
        // A peer that ends TLS without a goodbye has still sent its answer.
        let ended = stream.read_to_end(&mut reply).await;
        if reply.is_empty() {
            ended?;
        }
        anyhow::Ok(String::from_utf8_lossy(&reply).into_owned())
    };
    let reply = tokio::time::timeout(LIMIT, exchange)
        .await
        .context("no answer")??;
    let (head, body) = reply.split_once("\r\n\r\n").context("no HTTP")?;
    if !head.starts_with("HTTP/1.1 200") {
        bail!("{}: {body}", head.lines().next().unwrap_or_default());
    }
    Ok(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn the_order_of_words_is_of_no_matter_and_their_part_is() {
        assert_eq!(canonical("on +a +b (~x +c)"), canonical("+b on +a (+c ~x)"));
        assert_ne!(canonical("on +a (~x +c)"), canonical("on +c (~x +a)"));
    }
}

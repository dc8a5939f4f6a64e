//! The configuration file of the data node in this pod.

use crate::directives::Directives;
use cachebus_admin::{Address, Credentials};

/// A sealed server follows a port of its own on which nobody listens: it loads, answers, and refuses writes.
pub(crate) const SEALED_HOST: &str = "127.0.0.1";
/// The port that goes with [`SEALED_HOST`].
pub(crate) const SEALED_PORT: u16 = 1;

/// Whom the server follows when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// Nobody: it leads.
    Nobody,
    /// Nobody yet: it waits for an order.
    Sealed,
    /// This node.
    Primary(Address),
}

/// What is special to this pod and this start.
#[derive(Debug)]
pub(crate) struct RedisConf<'a> {
    /// The directives that all data nodes share.
    pub(crate) shared: &'a str,
    /// What the pod announces.
    pub(crate) announce: &'a Address,
    pub(crate) upstream: &'a Upstream,
    /// `replica-priority`; 0: no Sentinel promotes it.
    pub(crate) priority: u32,
    /// Whether the data that there is lies in an append-only file; `None`: there is none. The server reads what there is,
    /// and is told afterwards to keep its data as the spec wants it.
    pub(crate) aof: Option<bool>,
    /// The user by which it follows a primary.
    pub(crate) replication: &'a Credentials,
}

impl RedisConf<'_> {
    /// The file's text. Holds a password.
    pub(crate) fn render(&self) -> String {
        let mut lines = Directives::after(self.shared);
        let announce_port = self.announce.port.to_string();
        lines.add("replica-announce-ip", &[&self.announce.host]);
        lines.add("replica-announce-port", &[&announce_port]);
        lines.add("replica-priority", &[&self.priority.to_string()]);
        lines.add("masteruser", &[&self.replication.username]);
        lines.add("masterauth", &[self.replication.password.expose()]);
        if let Some(aof) = self.aof {
            lines.add("appendonly", &[if aof { "yes" } else { "no" }]);
        }
        match self.upstream {
            Upstream::Nobody => {}
            Upstream::Sealed => {
                lines.add("replicaof", &[SEALED_HOST, &SEALED_PORT.to_string()]);
            }
            Upstream::Primary(primary) => {
                lines.add("replicaof", &[&primary.host, &primary.port.to_string()]);
            }
        }
        lines.into_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(upstream: &Upstream) -> String {
        RedisConf {
            shared: "tls-port 6379\nappendonly yes\n",
            announce: &Address::new("b-redis-1.b-redis-nodes.ns.svc.cluster.local", 6379),
            upstream,
            priority: 0,
            aof: None,
            replication: &Credentials::new("replication", "secret"),
        }
        .render()
    }

    #[test]
    fn what_is_shared_comes_first() {
        assert_eq!(
            rendered(&Upstream::Nobody),
            r#"tls-port 6379
appendonly yes
replica-announce-ip "b-redis-1.b-redis-nodes.ns.svc.cluster.local"
replica-announce-port "6379"
replica-priority "0"
masteruser "replication"
masterauth "secret"
"#
        );
    }

    #[test]
    fn a_sealed_server_follows_a_closed_port() {
        assert!(rendered(&Upstream::Sealed).ends_with("replicaof \"127.0.0.1\" \"1\"\n"));
        let primary = Upstream::Primary(Address::new("b-redis-0.x", 6379));
        assert!(rendered(&primary).ends_with("replicaof \"b-redis-0.x\" \"6379\"\n"));
    }
}

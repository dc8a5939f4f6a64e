//! Where to connect, and how.

use std::{fmt, sync::Arc, time::Duration};

use crate::tls::TlsContext;

/// How long connecting, or one command, may take unless the endpoint says otherwise.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(1);

/// A host (name or IP) and a TCP port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// DNS name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Address {
    /// The address `host:port`.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// One server or Sentinel to talk to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The address that is dialled.
    pub address: Address,
    /// `None` talks plain text.
    pub tls: Option<Arc<TlsContext>>,
    /// The name the certificate must carry; the dialled host when `None`.
    pub server_name: Option<String>,
    /// Bounds connecting (TCP, TLS and login together) and each command.
    pub deadline: Duration,
}

impl Endpoint {
    /// A plain-text endpoint with the default deadline.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            address: Address::new(host, port),
            tls: None,
            server_name: None,
            deadline: DEFAULT_DEADLINE,
        }
    }

    /// Talks TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: Arc<TlsContext>) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Verifies the certificate against `name` instead of the dialled host.
    #[must_use]
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Sets the deadline of connecting and of each command.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The name the certificate is verified against.
    pub fn verified_name(&self) -> &str {
        self.server_name.as_deref().unwrap_or(&self.address.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_host_is_bracketed() {
        assert_eq!(Address::new("::1", 6379).to_string(), "[::1]:6379");
        assert_eq!(
            Address::new("bus-0.bus", 6379).to_string(),
            "bus-0.bus:6379"
        );
    }

    #[test]
    fn the_dialled_host_is_verified_unless_another_name_is_given() {
        let endpoint = Endpoint::new("127.0.0.1", 6379);
        assert_eq!(endpoint.verified_name(), "127.0.0.1");
        assert_eq!(
            endpoint.with_server_name("bus-0.bus").verified_name(),
            "bus-0.bus"
        );
    }
}

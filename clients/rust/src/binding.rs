//! How to reach the bus: what a binding Secret says.

mod source;
mod watched;

use std::collections::BTreeMap;
use std::fmt;

use url::Url;

use crate::contract::Contract;
use crate::error::{Error, Result};

pub use source::Source;
pub(crate) use watched::{Current, Watched};

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_SENTINEL_PORT: u16 = 26379;

/// Names of a Secret's entries, as the operator writes them.
const ENTRIES: [&str; 11] = [
    "host",
    "port",
    "username",
    "password",
    "uri",
    "tls",
    "ca.crt",
    "sentinels",
    "sentinel-port",
    "master-name",
    "contract.json",
];

/// A Secret's entries by name.
type Entries = BTreeMap<&'static str, String>;

/// A host (name or IP address) and a TCP port.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// DNS name or IP address.
    pub host: String,
    /// TCP port.
    pub port: u16,
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

/// Everything that a service needs to connect. The password appears in no `Debug` output.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Binding {
    /// Where the primary is, as far as a name can say it.
    pub address: Address,
    /// `None`: no login.
    pub username: Option<String>,
    /// Whether servers and Sentinels speak TLS.
    pub tls: bool,
    /// Certificate of the bus's authority, PEM; `None`: those that the system trusts.
    pub ca_pem: Option<String>,
    /// Where to ask for the primary; none: it is at `address`.
    pub sentinels: Vec<Address>,
    /// What the Sentinels call the primary.
    pub master_name: Option<String>,
    /// What the service may do.
    pub contract: Contract,
    password: Option<String>,
}

impl Binding {
    fn of(entries: &Entries) -> Result<Self> {
        let from_uri = entries.get("uri").map(|uri| of_uri(uri)).transpose()?;
        let from_uri = from_uri.unwrap_or_default();
        let entry = |name: &str| {
            let entry = entries.get(name).or_else(|| from_uri.get(name));
            entry.map(String::as_str)
        };
        let needed = |name: &str| {
            entry(name).ok_or_else(|| Error::Binding(format!("the binding has no {name}")))
        };
        Ok(Self {
            address: Address {
                host: needed("host")?.to_owned(),
                port: entry("port").map_or(Ok(DEFAULT_PORT), port)?,
            },
            username: entry("username").map(str::to_owned),
            password: entry("password").map(str::to_owned),
            tls: entry("tls") == Some("true"),
            ca_pem: entry("ca.crt").map(str::to_owned),
            sentinels: addresses(
                entry("sentinels").unwrap_or_default(),
                entry("sentinel-port").map_or(Ok(DEFAULT_SENTINEL_PORT), port)?,
            )?,
            master_name: entry("master-name").map(str::to_owned),
            contract: Contract::parse(needed("contract.json")?.as_bytes())?,
        })
    }

    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// Whether another binding leads to the same servers, in the same way.
    fn connects_like(&self, other: &Self) -> bool {
        self.address == other.address
            && self.username == other.username
            && self.password == other.password
            && self.tls == other.tls
            && self.ca_pem == other.ca_pem
            && self.sentinels == other.sentinels
            && self.master_name == other.master_name
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("address", &self.address)
            .field("username", &self.username)
            .field("tls", &self.tls)
            .field("sentinels", &self.sentinels)
            .field("master_name", &self.master_name)
            .field("service", &self.contract.service)
            .finish_non_exhaustive()
    }
}

/// The entries that a URI stands for.
fn of_uri(uri: &str) -> Result<Entries> {
    let url = Url::parse(uri).map_err(|_| Error::Binding("the uri cannot be read".to_owned()))?;
    let host = url.host_str().filter(|host| !host.is_empty());
    let (Some(host), "redis" | "rediss") = (host, url.scheme()) else {
        return Err(Error::Binding(
            "the uri is not redis:// or rediss:// and a host".to_owned(),
        ));
    };
    let mut entries = Entries::from([
        ("host", host.trim_matches(['[', ']']).to_owned()),
        ("port", url.port().unwrap_or(DEFAULT_PORT).to_string()),
        ("tls", (url.scheme() == "rediss").to_string()),
    ]);
    for (name, encoded) in [
        ("username", Some(url.username())),
        ("password", url.password()),
    ] {
        if let Some(encoded) = encoded.filter(|encoded| !encoded.is_empty()) {
            let text = percent_encoding::percent_decode_str(encoded)
                .decode_utf8()
                .map_err(|_| Error::Binding(format!("the uri's {name} is no text")))?;
            entries.insert(name, text.into_owned());
        }
    }
    Ok(entries)
}

fn port(text: &str) -> Result<u16> {
    text.parse()
        .map_err(|_| Error::Binding("the binding has a port that is no number".to_owned()))
}

fn addresses(text: &str, default_port: u16) -> Result<Vec<Address>> {
    text.split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(|entry| {
            let (host, port) = match entry.rsplit_once(':') {
                Some((host, text)) => (host, port(text)?),
                None => (entry, default_port),
            };
            Ok(Address {
                host: host.trim_matches(['[', ']']).to_owned(),
                port,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const CONTRACT: &str = r#"{"version":1,"service":"dashboard","cache":{"enabled":true,"keyspaces":[]},
        "events":{"enabled":true,"publish":[],"subscribe":[]}}"#;

    fn binding(entries: &[(&'static str, &str)]) -> Result<Binding> {
        let entries = entries.iter().map(|(name, value)| (*name, (*value).into()));
        Binding::of(
            &entries
                .chain([("contract.json", CONTRACT.into())])
                .collect(),
        )
    }

    #[test]
    fn a_secrets_entries_make_a_binding() {
        let binding = binding(&[
            ("host", "b-redis.data.svc"),
            ("port", "6380"),
            ("username", "dashboard"),
            ("password", "hunter2"),
            ("tls", "true"),
            ("ca.crt", "PEM"),
            ("sentinels", "s-0.svc:26379, s-1.svc:26380"),
            ("master-name", "bus-1f"),
        ])
        .unwrap();
        assert_eq!(binding.address.to_string(), "b-redis.data.svc:6380");
        assert_eq!(binding.username.as_deref(), Some("dashboard"));
        assert_eq!(binding.password(), Some("hunter2"));
        assert!(binding.tls);
        let sentinels: Vec<_> = binding.sentinels.iter().map(Address::to_string).collect();
        assert_eq!(sentinels, ["s-0.svc:26379", "s-1.svc:26380"]);
        assert!(!format!("{binding:?}").contains("hunter2"));
    }

    #[test]
    fn a_uri_fills_in_what_the_entries_leave_out() {
        let filled = binding(&[("uri", "rediss://me:p%40ss@h:7000/0"), ("username", "you")]);
        let filled = filled.unwrap();
        assert_eq!(filled.address.to_string(), "h:7000");
        assert_eq!(filled.username.as_deref(), Some("you"));
        assert_eq!(filled.password(), Some("p@ss"));
        assert!(filled.tls);
        let plain = binding(&[("uri", "redis://[::1]")]).unwrap();
        assert_eq!(plain.address.to_string(), "[::1]:6379");
        assert!(!plain.tls && plain.password().is_none());
    }

    #[test]
    fn a_sentinel_without_a_port_has_the_bindings() {
        let given = binding(&[
            ("host", "h"),
            ("sentinels", "s-0,s-1:7"),
            ("sentinel-port", "5"),
        ]);
        let ports: Vec<_> = given.unwrap().sentinels.iter().map(|s| s.port).collect();
        assert_eq!(ports, [5, 7]);
        let given = binding(&[("host", "h"), ("sentinels", "s-0")]).unwrap();
        assert_eq!(given.sentinels[0].port, 26379);
    }

    #[test]
    fn what_is_no_binding_is_named_and_not_quoted() {
        for (entries, reason) in [
            (vec![("port", "1")], "the binding has no host"),
            (
                vec![("host", "h"), ("port", "x")],
                "the binding has a port that is no number",
            ),
            (
                vec![("uri", "http://me:hunter2@h")],
                "the uri is not redis:// or rediss:// and a host",
            ),
            (
                vec![("uri", "redis://me:hunter2@")],
                "the uri cannot be read",
            ),
        ] {
            assert_eq!(binding(&entries).unwrap_err().to_string(), reason);
        }
        let entries = Entries::from([("host", "h".to_owned()), ("contract.json", "{}".to_owned())]);
        let error = Binding::of(&entries).unwrap_err();
        assert_eq!(error.to_string(), "contract.json is not a contract");
    }
}

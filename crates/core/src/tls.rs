//! Certificates of the bus: which are kept and which must be issued.
//!
//! The shell parses and signs; here it is decided. Every certificate is signed by the bus's own authority, which is
//! never replaced while anything that it signed is valid: every client holds it. It lies in two Secrets, so that either
//! may be lost or edited by hand and comes back as it was.

mod decide;

pub use decide::{Kept, TlsDecision, decide};

use crate::bus::Bus;
use crate::credentials::hex_sha256;
use crate::names::{Component, Names};
use crate::plan::{Blocked, reason};
use std::collections::BTreeSet;
use std::fmt;

/// Lifetime of an authority that is issued, seconds: ten years.
pub const AUTHORITY_LIFETIME_S: i64 = 3_650 * 86_400;
/// Lifetime of any other certificate that is issued, seconds: one year. It must not outlive its authority.
pub const LEAF_LIFETIME_S: i64 = 365 * 86_400;

/// Lower-case hex SHA-256 of a certificate, DER, by which operator and agents tell whether they mean the same: several may
/// end in the same second.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> String {
    hex_sha256(certificate)
}

/// A certificate and its key, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// Certificate.
    pub certificate: String,
    /// Private key; shown to nobody.
    pub key: String,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("certificate", &self.certificate.len())
            .finish_non_exhaustive()
    }
}

/// The bus's own authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// It can sign.
    Whole(KeyPair),
    /// Its key is lost. What it signed holds, and nothing can be signed any more.
    Lost {
        /// Its certificate, as it lies beside what it signed.
        certificate: String,
    },
}

impl Authority {
    /// Its certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        match self {
            Self::Whole(pair) => &pair.certificate,
            Self::Lost { certificate } => certificate,
        }
    }

    /// Certificate and key, while there is a key.
    #[must_use]
    pub fn pair(&self) -> Option<&KeyPair> {
        match self {
            Self::Whole(pair) => Some(pair),
            Self::Lost { .. } => None,
        }
    }
}

/// That the key of a bus's authority is lost, and what a person may do.
#[must_use]
pub fn authority_lost(names: &Names) -> Blocked {
    let (own, copy) = (names.authority(), names.credentials());
    let serving = names.serving_certificate();
    Blocked {
        reason: reason::AUTHORITY_LOST,
        message: format!(
            "neither Secret {own} nor Secret {copy} holds the key of the bus's authority, so no certificate can be renewed; \
             restore {own} from a backup, or delete Secret {serving} to have a new authority, which every client must then be given"
        ),
    }
}

/// The certificates of a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// The bus's own authority.
    pub authority: Authority,
    /// What every pod serves with, and replicas and Sentinels connect with.
    pub serving: KeyPair,
    /// What the operator connects to agents with.
    pub operator: KeyPair,
}

/// What a stored certificate says, as parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Begin of validity, seconds since 1970.
    pub not_before: i64,
    /// End of validity, seconds since 1970.
    pub not_after: i64,
    /// DNS names among its subject alternative names.
    pub dns_names: BTreeSet<String>,
    /// The authorities that signed it, of those that are stored anywhere: their certificates, PEM.
    pub signers: BTreeSet<String>,
    /// Whether the stored key is its key.
    pub key_matches: bool,
}

/// A stored certificate that could be parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredCertificate {
    /// The texts.
    pub pair: KeyPair,
    /// What the certificate says.
    pub facts: CertificateFacts,
}

/// The certificates that the bus's Secrets hold; `None`: no Secret, or nothing in it that can be parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredCertificates {
    /// The copies of the bus's own authority that can be parsed, the most trusted first.
    pub authorities: Vec<StoredCertificate>,
    /// What every pod serves with.
    pub serving: Option<StoredCertificate>,
    /// What the operator connects with.
    pub operator: Option<StoredCertificate>,
}

/// DNS names that the certificates must carry, no more and no fewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateNames {
    /// Names of the serving certificate.
    pub serving: BTreeSet<String>,
    /// Names of the operator's client certificate.
    pub operator: BTreeSet<String>,
}

impl CertificateNames {
    /// The names of a bus's certificates: each pod by the wildcard of its headless Service, each Service in every form
    /// that resolves in the cluster, and `localhost` for the agent and for forwarded ports.
    #[must_use]
    pub fn of(bus: &Bus) -> Self {
        let names = &bus.names;
        let nodes = [Component::Redis, Component::Sentinel]
            .map(|component| format!("*.{}", names.service_fqdn(&names.nodes_service(component))));
        let services = [
            names.primary_service(),
            names.replicas_service(),
            names.sentinel_service(),
            names.nodes_service(Component::Redis),
            names.nodes_service(Component::Sentinel),
        ];
        Self {
            serving: nodes
                .into_iter()
                .chain(services.iter().flat_map(|service| forms(names, service)))
                .chain(["localhost".to_owned()])
                .collect(),
            operator: BTreeSet::from([names.operator_identity()]),
        }
    }
}

/// Every form in which a Service's name resolves inside the cluster.
fn forms(names: &Names, service: &str) -> [String; 4] {
    let namespace = names.namespace();
    [
        service.to_owned(),
        format!("{service}.{namespace}"),
        format!("{service}.{namespace}.svc"),
        names.service_fqdn(service),
    ]
}

//! Certificates of the bus: which are kept and which must be issued.
//!
//! The shell parses and signs; here it is decided. Every certificate is signed by the bus's own authority, which is
//! never replaced while it is valid: every client holds it.

use crate::bus::Bus;
use crate::names::{Component, Names};
use std::collections::BTreeSet;
use std::fmt;

/// Lifetime of an authority that is issued, seconds: ten years.
pub const AUTHORITY_LIFETIME_S: i64 = 3_650 * 86_400;
/// Lifetime of any other certificate that is issued, seconds: one year. It must not outlive its authority.
pub const LEAF_LIFETIME_S: i64 = 365 * 86_400;

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

/// The certificates of a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    /// The bus's own authority.
    pub authority: KeyPair,
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
    /// Whether the stored authority signed it (an authority: itself).
    pub issuer_matches: bool,
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
    /// The bus's own authority.
    pub authority: Option<StoredCertificate>,
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

/// What is to become of the certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsDecision {
    /// All are good.
    Keep(Certificates),
    /// Issue those that are marked; the others stay as stored.
    Issue {
        /// A new authority; then everything it signs is new too.
        authority: bool,
        /// A new serving certificate.
        serving: bool,
        /// A new client certificate for the operator.
        operator: bool,
    },
}

/// Decides which certificates stay. A leaf is issued again when its names differ, when it does not fit its key or its
/// authority, or when less than a third of its life is left.
#[must_use]
pub fn decide(stored: &StoredCertificates, now_s: i64, names: &CertificateNames) -> TlsDecision {
    let Some(authority) = stored.authority.as_ref().filter(|authority| {
        authority.facts.issuer_matches
            && authority.facts.key_matches
            && now_s < authority.facts.not_after
    }) else {
        return TlsDecision::Issue {
            authority: true,
            serving: true,
            operator: true,
        };
    };
    let good = |leaf: &Option<StoredCertificate>, names: &BTreeSet<String>| {
        leaf.as_ref()
            .filter(|leaf| stays(&leaf.facts, &authority.facts, now_s, names))
            .map(|leaf| leaf.pair.clone())
    };
    match (
        good(&stored.serving, &names.serving),
        good(&stored.operator, &names.operator),
    ) {
        (Some(serving), Some(operator)) => TlsDecision::Keep(Certificates {
            authority: authority.pair.clone(),
            serving,
            operator,
        }),
        (serving, operator) => TlsDecision::Issue {
            authority: false,
            serving: serving.is_none(),
            operator: operator.is_none(),
        },
    }
}

fn stays(
    leaf: &CertificateFacts,
    authority: &CertificateFacts,
    now_s: i64,
    names: &BTreeSet<String>,
) -> bool {
    leaf.issuer_matches
        && leaf.key_matches
        && leaf.dns_names == *names
        && now_s < leaf.not_after
        && !is_due(leaf, authority, now_s)
}

/// A certificate that already lasts as long as its authority cannot get a later end: issuing it again would only churn.
fn is_due(leaf: &CertificateFacts, authority: &CertificateFacts, now_s: i64) -> bool {
    let life = leaf.not_after.saturating_sub(leaf.not_before);
    let left = leaf.not_after.saturating_sub(now_s);
    left < life / 3 && leaf.not_after < authority.not_after
}

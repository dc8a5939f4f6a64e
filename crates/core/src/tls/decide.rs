//! Which certificates stay and which are issued: [`decide`].

use super::{
    Authority, CertificateFacts, CertificateNames, Certificates, KeyPair, StoredCertificate,
    StoredCertificates,
};
use std::collections::BTreeSet;

/// What is to become of the certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TlsDecision {
    /// These stay.
    Keep(Certificates),
    /// What is missing here is issued.
    Issue(Kept),
    /// The authority's key is lost and the operator's certificate too, while pods serve what the authority signed: there
    /// is nothing to speak to them with, and nothing may be issued.
    CutOff,
}

/// What stays where something is issued. Without an authority, nothing that it signed stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// The bus's own authority.
    pub authority: Option<KeyPair>,
    /// What every pod serves with.
    pub serving: Option<KeyPair>,
    /// What the operator connects to agents with.
    pub operator: Option<KeyPair>,
}

/// Decides which certificates stay. A leaf is issued again when its names differ, when it does not fit its key or its
/// authority, or when less than a third of its life is left.
///
/// A new authority is made only where pods have nothing valid to serve with: whoever wants one takes that away.
#[must_use]
pub fn decide(stored: &StoredCertificates, now_s: i64, names: &CertificateNames) -> TlsDecision {
    let Some(authority) = authority(stored, now_s) else {
        return without_authority(stored, now_s);
    };
    let good = |leaf: &Option<StoredCertificate>, names: &BTreeSet<String>| {
        leaf.as_ref()
            .filter(|leaf| stays(&leaf.facts, authority, now_s, names))
            .map(|leaf| leaf.pair.clone())
    };
    match (
        good(&stored.serving, &names.serving),
        good(&stored.operator, &names.operator),
    ) {
        (Some(serving), Some(operator)) => TlsDecision::Keep(Certificates {
            authority: Authority::Whole(authority.pair.clone()),
            serving,
            operator,
        }),
        (serving, operator) => TlsDecision::Issue(Kept {
            authority: Some(authority.pair.clone()),
            serving,
            operator,
        }),
    }
}

/// The copy of the authority that counts: the one that signed what pods serve with, else the most trusted.
fn authority(stored: &StoredCertificates, now_s: i64) -> Option<&StoredCertificate> {
    let copies = || {
        stored.authorities.iter().filter(|copy| {
            copy.facts.signers.contains(&copy.pair.certificate) && is_valid(&copy.facts, now_s)
        })
    };
    let serving = stored.serving.as_ref();
    copies()
        .find(|copy| {
            serving.is_some_and(|leaf| leaf.facts.signers.contains(&copy.pair.certificate))
        })
        .or_else(|| copies().next())
}

/// What pods serve stays as long as it is valid: clients hold the authority that signed it.
fn without_authority(stored: &StoredCertificates, now_s: i64) -> TlsDecision {
    let valid = |leaf: &Option<StoredCertificate>| {
        let leaf = leaf.as_ref().filter(|leaf| is_valid(&leaf.facts, now_s));
        leaf.cloned()
    };
    let serving = valid(&stored.serving).and_then(|leaf| {
        let signer = leaf.facts.signers.first().cloned()?;
        Some((leaf.pair, signer))
    });
    let Some((serving, certificate)) = serving else {
        return TlsDecision::Issue(Kept::default());
    };
    match valid(&stored.operator).filter(|leaf| leaf.facts.signers.contains(&certificate)) {
        Some(operator) => TlsDecision::Keep(Certificates {
            authority: Authority::Lost { certificate },
            serving,
            operator: operator.pair,
        }),
        None => TlsDecision::CutOff,
    }
}

fn is_valid(facts: &CertificateFacts, now_s: i64) -> bool {
    facts.key_matches && now_s < facts.not_after
}

fn stays(
    leaf: &CertificateFacts,
    authority: &StoredCertificate,
    now_s: i64,
    names: &BTreeSet<String>,
) -> bool {
    leaf.signers.contains(&authority.pair.certificate)
        && leaf.dns_names == *names
        && is_valid(leaf, now_s)
        && !is_due(leaf, &authority.facts, now_s)
}

/// A certificate that already lasts as long as its authority cannot get a later end: issuing it again would only churn.
fn is_due(leaf: &CertificateFacts, authority: &CertificateFacts, now_s: i64) -> bool {
    let life = leaf.not_after.saturating_sub(leaf.not_before);
    let left = leaf.not_after.saturating_sub(now_s);
    left < life / 3 && leaf.not_after < authority.not_after
}

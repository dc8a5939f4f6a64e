//! What a stored certificate says.

use cachebus_core::tls::{CertificateFacts, KeyPair, StoredCertificate};
use std::collections::BTreeSet;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::{Pem, parse_x509_pem};

/// A stored certificate with what it says. `authorities`: the certificates of those that may have signed it, PEM. `None`:
/// there is nothing in it that can be parsed.
pub fn stored<'a>(
    pair: KeyPair,
    authorities: impl IntoIterator<Item = &'a str>,
) -> Option<StoredCertificate> {
    let pem = pem(&pair.certificate)?;
    let certificate = pem.parse_x509().ok()?;
    let facts = CertificateFacts {
        not_before: certificate.validity().not_before.timestamp(),
        not_after: certificate.validity().not_after.timestamp(),
        dns_names: dns_names(&certificate),
        signers: authorities
            .into_iter()
            .filter(|authority| is_signed_by(&certificate, authority))
            .map(str::to_owned)
            .collect(),
        key_matches: is_key_of(&pair.key, &certificate),
    };
    Some(StoredCertificate { pair, facts })
}

/// Begin and end of a certificate's validity, seconds since 1970.
pub fn validity(certificate: &str) -> Option<(i64, i64)> {
    let pem = pem(certificate)?;
    let certificate = pem.parse_x509().ok()?;
    let validity = certificate.validity();
    Some((
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

/// [`fingerprint`](cachebus_core::tls::fingerprint) of a certificate.
pub fn fingerprint(certificate: &str) -> Option<String> {
    pem(certificate).map(|pem| cachebus_core::tls::fingerprint(&pem.contents))
}

fn pem(text: &str) -> Option<Pem> {
    parse_x509_pem(text.as_bytes()).ok().map(|(_, pem)| pem)
}

fn dns_names(certificate: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return BTreeSet::new();
    };
    names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect()
}

fn is_signed_by(certificate: &X509Certificate<'_>, authority: &str) -> bool {
    let Some(pem) = pem(authority) else {
        return false;
    };
    pem.parse_x509().is_ok_and(|authority| {
        certificate.issuer() == authority.subject()
            && certificate
                .verify_signature(Some(authority.public_key()))
                .is_ok()
    })
}

fn is_key_of(key: &str, certificate: &X509Certificate<'_>) -> bool {
    rcgen::KeyPair::from_pem(key).is_ok_and(|key| {
        key.public_key_raw() == certificate.public_key().subject_public_key.data.as_ref()
    })
}

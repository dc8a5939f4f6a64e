//! New certificates: ECDSA on P-256.

use super::facts;
use cachebus_core::bus::Bus;
use cachebus_core::tls::{AUTHORITY_LIFETIME_S, KeyPair, LEAF_LIFETIME_S};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// Clocks of nodes may run behind the operator's by this much, seconds.
const CLOCK_SKEW_S: i64 = 300;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A pod serves with it, and connects to the others with it.
    Serving,
    /// The operator connects to agents with it.
    Operator,
}

/// A new authority.
pub fn authority(bus: &Bus, now_s: i64) -> Result<KeyPair, rcgen::Error> {
    let mut params = params(
        &format!("cachebus {}", bus.names.bus()),
        now_s,
        now_s + AUTHORITY_LIFETIME_S,
    );
    // The UID, so that no two authorities bear one name.
    params
        .distinguished_name
        .push(DnType::OrganizationName, bus.uid.as_str());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(KeyPair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// A new certificate that the authority signs. It does not outlive the authority.
pub fn leaf(
    authority: &KeyPair,
    names: &BTreeSet<String>,
    purpose: Purpose,
    now_s: i64,
) -> Result<KeyPair, rcgen::Error> {
    let end = facts::validity(&authority.certificate)
        .map_or(now_s, |(_, end)| end)
        .min(now_s + LEAF_LIFETIME_S);
    let issuer = Issuer::from_ca_cert_pem(
        &authority.certificate,
        rcgen::KeyPair::from_pem(&authority.key)?,
    )?;
    let mut params = params(common_name(purpose), now_s, end);
    params.subject_alt_names = names
        .iter()
        .map(|name| Ok(rcgen::SanType::DnsName(name.as_str().try_into()?)))
        .collect::<Result<_, rcgen::Error>>()?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match purpose {
        Purpose::Serving => vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ],
        Purpose::Operator => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    params.use_authority_key_identifier_extension = true;
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(KeyPair {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

fn common_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Serving => "cachebus node",
        Purpose::Operator => "cachebus operator",
    }
}

fn params(common_name: &str, from_s: i64, to_s: i64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |seconds: i64| epoch + Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    params.not_before = at(from_s - CLOCK_SKEW_S);
    params.not_after = at(to_s);
    params
}

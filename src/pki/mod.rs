//! The bus's own certificate authority: what stored certificates say, and new ones. What is kept is decided by
//! `cachebus_core::tls`.

mod facts;
mod issue;

pub use facts::stored;

use cachebus_core::bus::Bus;
use cachebus_core::tls::{
    self, Authority, CertificateNames, Certificates, Kept, StoredCertificates, TlsDecision,
};

/// A certificate could not be issued.
#[derive(Debug, thiserror::Error)]
#[error("cannot issue the {what} certificate of {bus}: {source}")]
pub struct PkiError {
    what: &'static str,
    bus: String,
    source: rcgen::Error,
}

/// The certificates that the bus shall have: those it has had, and new ones where they are due. `None`: see
/// [`TlsDecision::CutOff`].
pub fn settle(
    bus: &Bus,
    stored: &StoredCertificates,
    now_s: i64,
) -> Result<Option<Certificates>, PkiError> {
    let names = CertificateNames::of(bus);
    match tls::decide(stored, now_s, &names) {
        TlsDecision::Keep(certificates) => Ok(Some(certificates)),
        TlsDecision::Issue(kept) => complete(bus, kept, &names, now_s).map(Some),
        TlsDecision::CutOff => Ok(None),
    }
}

fn complete(
    bus: &Bus,
    kept: Kept,
    names: &CertificateNames,
    now_s: i64,
) -> Result<Certificates, PkiError> {
    let failed = |what| {
        let bus = format!("{}/{}", bus.names.namespace(), bus.names.bus());
        move |source| PkiError { what, bus, source }
    };
    let authority = kept
        .authority
        .map_or_else(|| issue::authority(bus, now_s), Ok)
        .map_err(failed("authority's"))?;
    let serving = kept
        .serving
        .map_or_else(
            || issue::leaf(&authority, &names.serving, issue::Purpose::Serving, now_s),
            Ok,
        )
        .map_err(failed("serving"))?;
    let operator = kept
        .operator
        .map_or_else(
            || issue::leaf(&authority, &names.operator, issue::Purpose::Operator, now_s),
            Ok,
        )
        .map_err(failed("operator's"))?;
    Ok(Certificates {
        authority: Authority::Whole(authority),
        serving,
        operator,
    })
}

/// End of a certificate's validity, seconds since 1970. `None`: it cannot be parsed.
pub fn expiry(certificate: &str) -> Option<i64> {
    facts::validity(certificate).map(|(_, not_after)| not_after)
}

/// [`cachebus_core::tls::fingerprint`] of a certificate, PEM. `None`: it cannot be parsed.
pub fn fingerprint(certificate: &str) -> Option<String> {
    facts::fingerprint(certificate)
}

#[cfg(test)]
mod tests;

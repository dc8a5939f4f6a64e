//! A CA and what it signs, made for one test.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = named("test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes `tls.crt` and `tls.key` for this address.
    pub(crate) fn write(&self, address: &str, directory: &Path) {
        let key = KeyPair::generate().unwrap();
        let mut params = named("server");
        params.subject_alt_names = vec![SanType::IpAddress(address.parse().unwrap())];
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        fs::write(directory.join("tls.crt"), certificate).unwrap();
        fs::write(directory.join("tls.key"), key.serialize_pem()).unwrap();
    }
}

/// Engines take a certificate that is named like its issuer for a self-signed one.
fn named(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params
}

//! A CA and what it signs, made for one test.

use std::{fs, path::Path, sync::Arc};

use cachebus_admin::{ClientIdentity, TlsContext};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

pub(crate) struct Signed {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = named("test CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn sign(&self, name: &str) -> Signed {
        let key = KeyPair::generate().unwrap();
        let mut params = named(name);
        params.subject_alt_names = vec![SanType::DnsName(name.try_into().unwrap())];
        Signed {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// What a client that trusts this CA uses.
    pub(crate) fn context(&self, identity: Option<&Signed>) -> Arc<TlsContext> {
        let identity = identity.map(|signed| ClientIdentity {
            certificate_chain: signed.certificate.as_bytes(),
            private_key: signed.key.as_bytes(),
        });
        Arc::new(TlsContext::new(self.0.pem().as_bytes(), identity).unwrap())
    }

    /// Writes `ca.crt`, `tls.crt` and `tls.key`.
    pub(crate) fn write(&self, serving: &Signed, directory: &Path) {
        fs::create_dir_all(directory).unwrap();
        for (name, content) in [
            ("ca.crt", &self.0.pem()),
            ("tls.crt", &serving.certificate),
            ("tls.key", &serving.key),
        ] {
            fs::write(directory.join(name), content).unwrap();
        }
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

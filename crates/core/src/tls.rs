//! Certificates of the bus: which are kept and which must be issued.

use std::fmt;

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

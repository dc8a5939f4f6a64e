//! Rights of users, compiled from the contract into the engines' ACL files.

mod file;

pub use file::{digest, hashes};

use crate::bus::Bus;
use crate::credentials::Credentials;

/// The ACL files of a bus: password hashes only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclFiles {
    /// Users of the data nodes.
    pub redis: String,
    /// Users of the Sentinels.
    pub sentinel: String,
}

/// Compiles the users of a bus. A user without a password in `credentials` gets no line.
#[must_use]
pub fn files(_bus: &Bus, _credentials: &Credentials) -> AclFiles {
    AclFiles::default()
}

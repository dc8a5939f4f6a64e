//! Rights of users, compiled from the contract into the engines' ACL files.

mod file;
mod glob;
mod internal;
mod selector;
mod sentinel;
mod service;
mod template;

pub use file::{digest, hashes};
pub(crate) use template::Template;

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
pub fn files(bus: &Bus, credentials: &Credentials) -> AclFiles {
    let services = bus
        .spec
        .services
        .iter()
        .map(|service| service::line(bus, service));
    AclFiles {
        redis: file::text(
            internal::lines(bus.engine).into_iter().chain(services),
            credentials,
        ),
        sentinel: file::text(sentinel::lines(bus), credentials),
    }
}

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
use file::Line;

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
    AclFiles {
        redis: file::text(
            internal::lines(bus).into_iter().chain(services(bus)),
            credentials,
        ),
        sentinel: file::text(sentinel::lines(bus), credentials),
    }
}

/// Bytes of each line on the data nodes, worked out as they are asked for.
pub(crate) fn sizes(bus: &Bus) -> impl Iterator<Item = usize> {
    let internal = std::iter::once_with(|| internal::lines(bus)).flatten();
    services(bus).chain(internal).map(|line| line.len())
}

fn services(bus: &Bus) -> impl Iterator<Item = Line> {
    bus.spec
        .services
        .iter()
        .map(|service| service::line(bus, service))
}

//! What the contract allows, said a second time and in other words than the operator's compiler, so that one checks the other.

mod attempts;
mod catalogue;
mod commands;
mod events;
mod keyspaces;

pub use attempts::attempts;
pub use catalogue::{Catalogue, Command};
pub use commands::Right;

use std::collections::BTreeSet;

use cachebus_api::CacheBusSpec;
use cachebus_api::contract::Service;
use cachebus_core::names::Component;

/// What one service may do.
pub struct Oracle<'a> {
    spec: &'a CacheBusSpec,
    service: &'a Service,
}

impl<'a> Oracle<'a> {
    /// What `service` of a bus with this spec may do.
    pub fn new(spec: &'a CacheBusSpec, service: &'a Service) -> Self {
        Self { spec, service }
    }

    /// The kinds of right that it has on something.
    fn rights(&self) -> BTreeSet<Right> {
        let mut rights = keyspaces::rights(self.spec, self.service);
        rights.extend(events::rights(self.spec, self.service));
        rights.insert(Right::Connect);
        rights
    }

    /// Whether a command is the service's on something at all.
    pub fn may_run(&self, component: Component, command: &Command) -> bool {
        if command.without_login {
            return true;
        }
        match component {
            Component::Sentinel => commands::on_sentinels(&command.name),
            Component::Redis => {
                let rights = self.rights();
                commands::rights_for(&command.name)
                    .iter()
                    .any(|right| rights.contains(right))
            }
        }
    }
}

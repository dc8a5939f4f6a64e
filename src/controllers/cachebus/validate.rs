//! What a bus is to be: its spec, or the last one that could be carried out.

use super::last_valid::last_valid;
use crate::context::Context;
use crate::error::Error;
use cachebus_api::CacheBus;
use cachebus_core::bus::{Bus, Violation};
use kube::ResourceExt as _;
use std::sync::Arc;

/// What a bus is to be.
pub struct Validated {
    /// The bus by its spec or, where that cannot be carried out, by the last one that could: failovers must be followed
    /// and users kept while a person mends the spec. `None` where there was none.
    pub bus: Option<Arc<Bus>>,
    /// What of the spec cannot be carried out.
    pub violations: Vec<Violation>,
}

/// Validates the spec.
pub async fn validate(context: &Context, object: &CacheBus) -> Result<Validated, Error> {
    match Bus::validate(object, &context.platform) {
        Ok(bus) => {
            let bus = Arc::new(bus);
            let namespace = object.namespace().unwrap_or_default();
            let uid = object.uid().unwrap_or_default();
            let memory = &context.memory;
            memory.with(&namespace, &object.name_any(), &uid, |remembered| {
                remembered.valid = Some(Arc::clone(&bus));
            });
            Ok(Validated {
                bus: Some(bus),
                violations: Vec::new(),
            })
        }
        Err(violations) => Ok(Validated {
            bus: last_valid(context, &object.metadata).await?,
            violations,
        }),
    }
}

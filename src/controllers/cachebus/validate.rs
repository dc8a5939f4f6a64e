//! What a bus is to be: its spec, or the last one that could be carried out.

use crate::context::Context;
use cachebus_api::CacheBus;
use cachebus_core::bus::{Bus, Violation};
use kube::ResourceExt as _;
use std::sync::Arc;

/// What a bus is to be.
pub struct Validated {
    /// The bus by its spec or, where that cannot be carried out, by the last one that could: failovers must be followed
    /// and users kept while a person mends the spec. `None` where this process has seen none.
    pub bus: Option<Arc<Bus>>,
    /// What of the spec cannot be carried out.
    pub violations: Vec<Violation>,
}

/// Validates the spec.
pub fn validate(context: &Context, object: &CacheBus) -> Validated {
    let result = Bus::validate(object, &context.platform).map(Arc::new);
    let namespace = object.namespace().unwrap_or_default();
    let uid = object.uid().unwrap_or_default();
    context.memory.with(
        &namespace,
        &object.name_any(),
        &uid,
        |remembered| match result {
            Ok(bus) => {
                remembered.valid = Some(Arc::clone(&bus));
                Validated {
                    bus: Some(bus),
                    violations: Vec::new(),
                }
            }
            Err(violations) => Validated {
                bus: remembered.valid.clone(),
                violations,
            },
        },
    )
}

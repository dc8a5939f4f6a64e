//! What must hold of a spec so that it can be carried out: [`Bus::validate`].
//!
//! The API server checks most of it by the rules in the custom resource definition. Here is what those cannot say, and
//! again what a bus cannot be safe without: the definition that is installed may be older than this operator.

mod contract;
mod engine;
mod label;
mod name;
mod pods;
mod raw_config;
mod settings;
mod size;

use crate::backup::schedule_violation;
use crate::bus::{Bus, Platform, Violation, electorate};
use crate::names::Names;
use cachebus_api::CacheBus;

impl Bus {
    /// A bus from its object, with its derived values.
    ///
    /// # Errors
    /// Everything in the object that cannot be carried out, all of it at once.
    pub fn validate(object: &CacheBus, platform: &Platform) -> Result<Self, Vec<Violation>> {
        let spec = &object.spec;
        let mut violations = name::violations(&object.metadata);
        let engine = engine::of(&spec.engine, platform)
            .map_err(|violation| violations.push(violation))
            .ok();
        violations.extend(settings::violations(spec));
        if let Some((engine, _)) = &engine {
            violations.extend(raw_config::violations(&spec.config, engine));
        }
        violations.extend(pods::violations(&spec.pods, &spec.access));
        violations.extend(contract::violations(spec));
        violations.extend(schedule_violation(spec));
        let Some((engine, image)) = engine.filter(|_| violations.is_empty()) else {
            return Err(violations);
        };
        let bus = Self {
            names: Names::new(
                object.metadata.name.as_deref().unwrap_or_default(),
                object.metadata.namespace.as_deref().unwrap_or_default(),
                &platform.domain,
            ),
            uid: object.metadata.uid.clone().unwrap_or_default(),
            generation: object.metadata.generation.unwrap_or_default(),
            replicas: spec.replicas,
            electorate: electorate(spec),
            spec: spec.clone(),
            engine,
            image,
        };
        match size::violation(&bus) {
            None => Ok(bus),
            Some(violation) => Err(vec![violation]),
        }
    }
}

fn violation(
    path: impl Into<String>,
    reason: &'static str,
    message: impl Into<String>,
) -> Violation {
    Violation {
        path: path.into(),
        reason,
        message: message.into(),
    }
}

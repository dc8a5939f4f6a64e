//! What CEL cannot say of a spec and what must hold all the same: [`Bus::validate`].

use crate::bus::{Bus, Platform, Violation};
use crate::engine;
use crate::names::Names;
use cachebus_api::CacheBus;

impl Bus {
    /// A bus from its object, with its derived values.
    ///
    /// # Errors
    /// Everything in the object that cannot be carried out, all of it at once, in the order of the spec's fields.
    pub fn validate(object: &CacheBus, platform: &Platform) -> Result<Self, Vec<Violation>> {
        let metadata = &object.metadata;
        let spec = &object.spec;
        let kind = format!("{:?}", spec.engine.kind).to_lowercase();
        let image = spec.engine.image.clone().or_else(|| {
            platform
                .engine_images
                .get(&format!("{kind}-{}", spec.engine.version))
                .cloned()
        });
        Ok(Self {
            names: Names::new(
                metadata.name.as_deref().unwrap_or_default(),
                metadata.namespace.as_deref().unwrap_or_default(),
                &platform.domain,
            ),
            uid: metadata.uid.clone().unwrap_or_default(),
            generation: metadata.generation.unwrap_or_default(),
            spec: spec.clone(),
            engine: engine::capabilities(spec.engine.kind, &spec.engine.version)
                .ok_or_else(Vec::new)?,
            image: image.ok_or_else(Vec::new)?,
        })
    }
}

//! Which engine, and from which image.

use super::violation;
use crate::bus::{Platform, Violation};
use crate::engine::{Capabilities, SUPPORTED, capabilities};
use cachebus_api::engine::{Engine, EngineKind};

/// What the engine can do, and its image.
pub(super) fn of(
    engine: &Engine,
    platform: &Platform,
) -> Result<(&'static Capabilities, String), Violation> {
    let version = &engine.version;
    let capabilities = capabilities(engine.kind, version).ok_or_else(|| {
        let supported: Vec<&str> = SUPPORTED
            .iter()
            .filter(|supported| supported.kind == engine.kind)
            .map(|supported| supported.version)
            .collect();
        violation(
            "spec.engine.version",
            "EngineUnsupported",
            format!(
                "{:?} {version} is not supported; supported are {}",
                engine.kind,
                supported.join(", ")
            ),
        )
    })?;
    let image = engine
        .image
        .clone()
        .or_else(|| platform.engine_images.get(&key(engine)).cloned())
        .ok_or_else(|| {
            violation(
                "spec.engine.image",
                "ImageUnknown",
                format!(
                    "the operator was given no image for {:?} {version}: name one here",
                    engine.kind
                ),
            )
        })?;
    Ok((capabilities, image))
}

/// Key of an engine in [`Platform::engine_images`].
fn key(engine: &Engine) -> String {
    let kind = match engine.kind {
        EngineKind::Redis => "redis",
        EngineKind::Valkey => "valkey",
    };
    format!("{kind}-{}", engine.version)
}

//! The last valid spec of a bus, kept beside it: an operator that starts while the spec cannot be carried out looks after
//! the bus by this one.

use crate::bus::{Bus, Platform, electorate};
use crate::engine::capabilities;
use crate::names::Names;
use cachebus_api::CacheBusSpec;
use cachebus_api::engine::EngineKind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::json;

/// Why there is no bus in what was kept.
#[derive(Debug, thiserror::Error)]
pub enum NotRestored {
    /// It is not what an operator wrote.
    #[error("the last valid spec cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// This operator knows the engine no more.
    #[error(
        "the last valid spec asks for {kind:?} {version}, which this operator does not support"
    )]
    Engine {
        /// Family of the engine.
        kind: EngineKind,
        /// Its version.
        version: String,
    },
}

impl NotRestored {
    /// Why, in one stable word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "Unreadable",
            Self::Engine { .. } => "EngineUnsupported",
        }
    }
}

#[derive(Deserialize)]
struct Kept {
    generation: i64,
    image: String,
    spec: CacheBusSpec,
}

/// What is kept of a valid bus, JSON. It holds no secret.
#[must_use]
pub fn keep(bus: &Bus) -> String {
    let Bus {
        names: _,
        uid: _,
        generation,
        spec,
        engine: _,
        image,
        replicas: _,
        electorate: _,
    } = bus;
    json!({"generation": generation, "image": image, "spec": spec}).to_string()
}

/// The bus as it was kept. It was valid to the operator that kept it, and is not validated again: its pods run by it. So it
/// keeps its engine's image, too, if this operator was given none.
///
/// # Errors
/// What was kept is no bus.
pub fn restore(text: &str, metadata: &ObjectMeta, platform: &Platform) -> Result<Bus, NotRestored> {
    let Kept {
        generation,
        image,
        spec,
    } = serde_json::from_str(text)?;
    let engine = capabilities(spec.engine.kind, &spec.engine.version).ok_or_else(|| {
        NotRestored::Engine {
            kind: spec.engine.kind,
            version: spec.engine.version.clone(),
        }
    })?;
    Ok(Bus {
        names: Names::new(
            metadata.name.as_deref().unwrap_or_default(),
            metadata.namespace.as_deref().unwrap_or_default(),
            &platform.domain,
        ),
        uid: metadata.uid.clone().unwrap_or_default(),
        generation,
        replicas: spec.replicas,
        electorate: electorate(&spec),
        spec,
        engine,
        image,
    })
}

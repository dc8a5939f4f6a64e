//! Which engine runs, and from which image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The family of the engine.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
pub enum EngineKind {
    /// Redis.
    #[default]
    Redis,
    /// Valkey.
    Valkey,
}

/// The engine's family, version and image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Engine {
    /// Family of the engine. Cannot change.
    #[serde(default)]
    pub kind: EngineKind,
    /// Version `<major>.<minor>`. Supported: Redis 7.0, 7.2, 7.4, 8.0, 8.2; Valkey 8.0, 8.1, 9.0, 9.1. Cannot go back.
    #[serde(default = "Engine::default_version")]
    #[schemars(regex(pattern = r"^[0-9]{1,2}\.[0-9]{1,2}$"), length(max = 5))]
    pub version: String,
    /// Image that holds the engine. Default: the operator's image for this kind and version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[^\s]+$"), length(min = 1, max = 512))]
    pub image: Option<String>,
    /// When kubelet pulls the image. Default: Kubernetes' own rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<ImagePullPolicy>,
    /// Names of Secrets in the bus's namespace that hold registry credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 8),
        inner(
            regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
            length(min = 1, max = 253)
        )
    )]
    pub image_pull_secrets: Vec<String>,
}

/// When kubelet pulls an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ImagePullPolicy {
    /// At each start of a container.
    Always,
    /// When the node lacks it.
    IfNotPresent,
    /// Not at all.
    Never,
}

impl Engine {
    fn default_version() -> String {
        "8.0".to_owned()
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            kind: EngineKind::default(),
            version: Self::default_version(),
            image: None,
            image_pull_policy: None,
            image_pull_secrets: Vec::new(),
        }
    }
}

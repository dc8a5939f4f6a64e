//! What each supported engine and version can do.

use cachebus_api::engine::EngineKind;

/// What an engine of one version can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Family.
    pub kind: EngineKind,
    /// `<major>.<minor>`.
    pub version: &'static str,
}

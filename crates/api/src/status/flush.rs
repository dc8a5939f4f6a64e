//! What is reported of emptied keyspaces.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keyspaces that a person asked to have emptied, the last time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Flush {
    /// Counts them.
    pub number: u64,
    /// The keyspaces, in the order of the spec.
    pub keyspaces: Vec<String>,
    /// When it was taken up.
    pub since: Time,
    /// What it waits for, where it does not get further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// When the operator saw that it was done, or had failed; absent: it is under way, or yet to begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// Keys that were removed, once it is done. An attempt that a restart cut short is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<u64>,
    /// Why it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

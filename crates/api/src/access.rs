//! From where the bus is reached.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From where the bus is reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Access {
    /// Namespaces whose pods may connect, besides the bus's own. Default: none besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<LabelSelector>,
    /// Namespaces whose pods may read metrics, on port 9121 of every pod. Default: all. Kubelet's probes, on the same port, come
    /// from the node, which network policies do not keep out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<LabelSelector>,
}

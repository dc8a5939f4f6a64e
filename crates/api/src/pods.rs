//! How the pods are placed, labelled and sized.

use crate::{Bytes, rules};
use k8s_openapi::api::core::v1::Toleration;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Amounts of CPU and memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ResourceAmounts {
    /// CPU, in cores (`1`, `0.5`) or thousandths (`250m`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^([0-9]{1,6}m|[0-9]{1,4}(\.[0-9]{1,3})?)$"),
        length(max = 12)
    )]
    pub cpu: Option<String>,
    /// Memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
}

/// CPU and memory of one container. What is left out gets a default, see the field's place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[x_kube(validation = rules::request_within_limit("memory"))]
#[x_kube(validation = rules::request_within_limit("cpu"))]
#[x_kube(validation = Rule::new("!has(self.limits.memory) || quantity(self.limits.memory).compareTo(quantity('32Mi')) >= 0").message("limits.memory must be at least 32Mi").field_path(".limits.memory"))]
pub struct Resources {
    /// What the scheduler sets aside.
    #[serde(default)]
    pub requests: ResourceAmounts,
    /// What the container may use at most.
    #[serde(default)]
    pub limits: ResourceAmounts,
}

/// Labels, annotations and placement of the bus's pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodSettings {
    /// Labels added to every pod; the operator's own win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub labels: BTreeMap<String, String>,
    /// Annotations added to every pod; the operator's own win.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub annotations: BTreeMap<String, String>,
    /// Labels that a node must have.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub tolerations: Vec<Toleration>,
    /// Priority class of the pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
        length(min = 1, max = 253)
    )]
    pub priority_class_name: Option<String>,
    /// Whether pods of the same kind must (`Required`) or should (`Preferred`) run on different nodes.
    #[serde(default)]
    pub spread: Spread,
}

/// How strictly pods of the same kind keep to different nodes. Zones are always preferred to differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Spread {
    /// Two on a node where there is no other place.
    #[default]
    Preferred,
    /// A pod waits for a node of its own.
    Required,
}

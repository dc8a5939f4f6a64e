//! As much of `NetworkPolicy`, `Pod` and `Namespace` as says who may talk to whom.

use std::collections::BTreeMap;

use serde::Deserialize;

pub(super) type Labels = BTreeMap<String, String>;

/// What `kubectl get --output=json` prints for several objects.
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    pub(super) items: Vec<T>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Metadata {
    pub(super) name: String,
    #[serde(default)]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) labels: Labels,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Namespace {
    pub(super) metadata: Metadata,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Pod {
    pub(super) metadata: Metadata,
    pub(super) spec: PodSpec,
    #[serde(default)]
    pub(super) status: PodStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodSpec {
    #[serde(default)]
    pub(super) host_network: bool,
    #[serde(default)]
    pub(super) containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Container {
    #[serde(default)]
    pub(super) ports: Vec<ContainerPort>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ContainerPort {
    #[serde(default)]
    pub(super) name: String,
    pub(super) container_port: u16,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct PodStatus {
    #[serde(default)]
    pub(super) phase: String,
    #[serde(default, rename = "podIP")]
    pub(super) address: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Policy {
    pub(super) metadata: Metadata,
    pub(super) spec: PolicySpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicySpec {
    #[serde(default)]
    pub(super) pod_selector: Selector,
    #[serde(default)]
    pub(super) policy_types: Vec<Direction>,
    #[serde(default)]
    pub(super) ingress: Vec<Opening>,
    #[serde(default)]
    pub(super) egress: Vec<Opening>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Direction {
    Ingress,
    Egress,
}

/// One rule: these ports, from or to these peers; none named means all.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Opening {
    #[serde(default, alias = "from", alias = "to")]
    pub(super) peers: Vec<Peer>,
    #[serde(default)]
    pub(super) ports: Vec<Ports>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Peer {
    pub(super) pod_selector: Option<Selector>,
    pub(super) namespace_selector: Option<Selector>,
    pub(super) ip_block: Option<Block>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Block {
    pub(super) cidr: String,
    #[serde(default)]
    pub(super) except: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Ports {
    #[serde(default)]
    pub(super) protocol: Option<String>,
    /// None: every port of the protocol.
    #[serde(rename = "port")]
    pub(super) first: Option<PortName>,
    #[serde(rename = "endPort")]
    pub(super) last: Option<u16>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum PortName {
    Number(u16),
    Name(String),
}

/// A label selector; empty selects everything.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Selector {
    #[serde(default)]
    pub(super) match_labels: Labels,
    #[serde(default)]
    pub(super) match_expressions: Vec<Expression>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Expression {
    key: String,
    operator: Operator,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Whether an object with these labels is selected.
    pub(super) fn selects(&self, labels: &Labels) -> bool {
        let has_labels = self
            .match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value));
        has_labels
            && self
                .match_expressions
                .iter()
                .all(|expression| expression.holds(labels))
    }
}

impl Expression {
    fn holds(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let is_listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            Operator::In => is_listed,
            Operator::NotIn => !is_listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn selectors_mean_what_kubernetes_means() {
        let labels = Labels::from([("app".to_owned(), "redis".to_owned())]);
        let cases = [
            (r"{}", true),
            (r#"{"matchLabels": {"app": "redis"}}"#, true),
            (
                r#"{"matchLabels": {"app": "redis", "tier": "data"}}"#,
                false,
            ),
            (
                r#"{"matchExpressions": [{"key": "app", "operator": "In", "values": ["redis", "valkey"]}]}"#,
                true,
            ),
            (
                r#"{"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["web"]}]}"#,
                true,
            ),
            (
                r#"{"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["redis"]}]}"#,
                false,
            ),
            (
                r#"{"matchExpressions": [{"key": "tier", "operator": "Exists"}]}"#,
                false,
            ),
            (
                r#"{"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}"#,
                true,
            ),
        ];
        for (selector, expected) in cases {
            let selector_read: Selector = serde_json::from_str(selector).unwrap();
            assert_eq!(selector_read.selects(&labels), expected, "{selector}");
        }
    }
}

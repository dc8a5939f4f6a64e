//! Labels, tolerations and selectors: Kubernetes would refuse the objects that hold a bad one.

use super::label::{is_key, is_value};
use super::violation;
use crate::bus::Violation;
use cachebus_api::access::Access;
use cachebus_api::pods::PodSettings;
use k8s_openapi::api::core::v1::Toleration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::collections::BTreeMap;

pub(super) fn violations(pods: &PodSettings, access: &Access) -> Vec<Violation> {
    let mut violations = labels("spec.pods.labels", &pods.labels);
    violations.extend(
        pods.annotations
            .keys()
            .filter(|key| !is_key(key))
            .map(|key| {
                let path = format!("spec.pods.annotations[{key}]");
                violation(
                    path,
                    "LabelInvalid",
                    "the key is none that Kubernetes takes",
                )
            }),
    );
    violations.extend(labels("spec.pods.nodeSelector", &pods.node_selector));
    violations.extend(
        pods.tolerations
            .iter()
            .enumerate()
            .filter_map(|(index, toleration)| {
                let path = format!("spec.pods.tolerations[{index}]");
                tolerable(toleration).map(|why| violation(path, "TolerationInvalid", why))
            }),
    );
    for (path, namespaces) in [
        ("spec.access.namespaces", &access.namespaces),
        ("spec.access.metrics", &access.metrics),
    ] {
        violations.extend(namespaces.iter().flat_map(|it| selector(path, it)));
    }
    violations
}

fn labels(path: &str, labels: &BTreeMap<String, String>) -> Vec<Violation> {
    labels
        .iter()
        .filter_map(|(key, value)| {
            let message = match (is_key(key), is_value(value)) {
                (true, true) => return None,
                (false, _) => "the key is none that Kubernetes takes".to_owned(),
                (true, false) => format!("{value:?} is no value that Kubernetes takes"),
            };
            Some(violation(format!("{path}[{key}]"), "LabelInvalid", message))
        })
        .collect()
}

/// What is wrong with a toleration.
fn tolerable(toleration: &Toleration) -> Option<&'static str> {
    let key = toleration.key.as_deref().unwrap_or_default();
    let value = toleration.value.as_deref().unwrap_or_default();
    let effect = toleration.effect.as_deref().unwrap_or_default();
    match toleration.operator.as_deref().unwrap_or("Equal") {
        "Exists" if !value.is_empty() => return Some("operator Exists takes no value"),
        "Equal" if key.is_empty() => return Some("an empty key needs the operator Exists"),
        "Equal" if !is_value(value) => return Some("the value is none that Kubernetes takes"),
        "Exists" | "Equal" => {}
        _ => return Some("operator must be Exists or Equal"),
    }
    if !key.is_empty() && !is_key(key) {
        return Some("the key is none that Kubernetes takes");
    }
    let lasting = toleration.toleration_seconds.is_none() || effect == "NoExecute";
    match effect {
        "" | "NoExecute" | "NoSchedule" | "PreferNoSchedule" if lasting => None,
        "" | "NoSchedule" | "PreferNoSchedule" => {
            Some("tolerationSeconds needs the effect NoExecute")
        }
        _ => Some("effect must be NoSchedule, PreferNoSchedule or NoExecute"),
    }
}

fn selector(path: &str, selector: &LabelSelector) -> Vec<Violation> {
    let labels_path = format!("{path}.matchLabels");
    let mut violations = selector
        .match_labels
        .as_ref()
        .map(|matched| labels(&labels_path, matched))
        .unwrap_or_default();
    let expressions = selector.match_expressions.iter().flatten().enumerate();
    violations.extend(expressions.filter_map(|(index, expression)| {
        let values = expression.values.as_deref().unwrap_or_default();
        let why = match expression.operator.as_str() {
            "In" | "NotIn" if values.is_empty() => "In and NotIn need values",
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                "Exists and DoesNotExist take no values"
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {
                if is_key(&expression.key) && values.iter().all(|value| is_value(value)) {
                    return None;
                }
                "the key or a value is none that Kubernetes takes"
            }
            _ => "operator must be In, NotIn, Exists or DoesNotExist",
        };
        let path = format!("{path}.matchExpressions[{index}]");
        Some(violation(path, "SelectorInvalid", why))
    }));
    violations
}

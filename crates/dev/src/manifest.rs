//! The file: YAML with one `CacheBus` among whatever else.

use crate::error::DevError;
use crate::schema;
use cachebus_api::{CacheBus, crd};
use cachebus_core::bus::{Bus, Platform, Violation};
use cachebus_core::engine::SUPPORTED;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const API_VERSION: &str = "cachebus.dev/v1alpha1";
const KIND: &str = "CacheBus";

/// Reads the bus of a file.
pub(crate) fn read(path: &Path) -> Result<Bus, DevError> {
    let text = fs::read_to_string(path).map_err(|source| DevError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    bus(&text).map_err(|wrong| wrong.of(path))
}

/// What is wrong with the text of a file.
#[derive(Debug)]
pub(crate) enum Wrong {
    /// It is no YAML, or holds not one bus.
    Text(String),
    /// The bus cannot be carried out.
    Bus(Vec<Violation>),
}

impl Wrong {
    fn of(self, path: &Path) -> DevError {
        let path = PathBuf::from(path);
        match self {
            Self::Text(message) => DevError::NoBus { path, message },
            Self::Bus(violations) => DevError::Refused { path, violations },
        }
    }
}

/// The bus in a text, checked as the API server and the operator would.
pub(crate) fn bus(text: &str) -> Result<Bus, Wrong> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| Wrong::Text(error.to_string()))?;
    let mut buses = documents
        .into_iter()
        .filter(|document| document["kind"] == KIND);
    let object = match (buses.next(), buses.count()) {
        (Some(object), 0) => schema::without_nulls(object),
        (Some(_), others) => {
            let message = format!("it holds {} objects of kind {KIND}", others + 1);
            return Err(Wrong::Text(message));
        }
        (None, _) => return Err(Wrong::Text(format!("it holds no object of kind {KIND}"))),
    };
    let object = decoded(object).map_err(Wrong::Bus)?;
    Bus::validate(&object, &platform()).map_err(Wrong::Bus)
}

fn decoded(mut object: Value) -> Result<CacheBus, Vec<Violation>> {
    let violation = |path: &str, reason, message: String| {
        vec![Violation {
            path: path.to_owned(),
            reason,
            message,
        }]
    };
    if object["apiVersion"] != API_VERSION {
        let message = format!("must be {API_VERSION}");
        return Err(violation("apiVersion", "VersionUnknown", message));
    }
    let violations = schema::violations(&SCHEMA, "spec", &object["spec"]);
    if !violations.is_empty() {
        return Err(violations);
    }
    // What a server says of an object is none of the file's.
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    serde_json::from_value(object)
        .map_err(|error| violation("spec", "Undecodable", format!("cannot be read: {error}")))
}

/// Of `spec`. What a cluster says of the metadata, `core` says, too.
static SCHEMA: LazyLock<JSONSchemaProps> = LazyLock::new(spec_schema);

fn spec_schema() -> JSONSchemaProps {
    let mut versions = crd::definition().spec.versions.into_iter();
    let schema = versions.next().and_then(|version| version.schema);
    let properties = schema
        .and_then(|schema| schema.open_api_v3_schema)
        .and_then(|schema| schema.properties);
    properties
        .and_then(|mut properties| properties.remove("spec"))
        .unwrap_or_default()
}

/// What an operator would know. No image is pulled here, so every engine has one.
fn platform() -> Platform {
    let images = SUPPORTED.iter().map(|engine| {
        let kind = format!("{:?}", engine.kind).to_lowercase();
        (format!("{kind}-{}", engine.version), String::from("local"))
    });
    Platform {
        domain: "cluster.local".to_owned(),
        agent_image: String::new(),
        agent_pull_policy: String::new(),
        engine_images: images.collect(),
        operator_namespace: String::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    const SAMPLE: &str = include_str!("../../../config/samples/platform.yaml");
    /// What the API server and the operator refuse on a real cluster.
    const WRONG: &str = include_str!("../../../e2e/manifests/wrong.yaml");

    #[derive(Deserialize)]
    struct Manifests {
        base: Value,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Case {
        name: String,
        #[serde(default)]
        metadata: Option<Value>,
        #[serde(default)]
        spec: Value,
        from: Option<Value>,
    }

    fn text(spec: &Value) -> String {
        let metadata = json!({"name": "b"});
        json!({"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec})
            .to_string()
    }

    fn refusals(spec: &Value) -> Vec<(String, String)> {
        match bus(&text(spec)) {
            Ok(_) => Vec::new(),
            Err(Wrong::Bus(all)) => all.into_iter().map(|one| (one.path, one.message)).collect(),
            Err(Wrong::Text(message)) => panic!("{message}"),
        }
    }

    fn refused_at(spec: &Value) -> Vec<String> {
        refusals(spec).into_iter().map(|(path, _)| path).collect()
    }

    fn merge(target: &mut Value, patch: &Value) {
        let Some(patch) = patch.as_object() else {
            return target.clone_from(patch);
        };
        if !target.is_object() {
            *target = json!({});
        }
        for (name, value) in patch {
            merge(&mut target[name], value);
        }
    }

    #[test]
    fn the_bus_is_found_among_other_documents() {
        let bus = bus(SAMPLE).unwrap();
        assert_eq!(bus.names.bus(), "platform");
        assert_eq!(bus.spec.services.len(), 5);
    }

    #[test]
    fn a_file_holds_one_bus() {
        let two = format!("{SAMPLE}\n---\n{SAMPLE}");
        for (text, message) in [
            (two.as_str(), "it holds 2 objects of kind CacheBus"),
            ("kind: Namespace", "it holds no object of kind CacheBus"),
            ("", "it holds no object of kind CacheBus"),
        ] {
            let Err(Wrong::Text(said)) = bus(text) else {
                panic!("{text} is taken for a bus");
            };
            assert_eq!(said, message);
        }
        assert!(matches!(bus("a: [b"), Err(Wrong::Text(_))));
    }

    #[test]
    fn what_a_cluster_refuses_is_refused() {
        let Manifests { base, cases } = serde_saphyr::from_str(WRONG).unwrap();
        assert!(refusals(&base).is_empty(), "{:?}", refusals(&base));
        let mut tried = 0;
        let mut taken = Vec::new();
        // What must not change, and names, are another's to check.
        for case in cases
            .iter()
            .filter(|case| case.from.is_none() && case.metadata.is_none())
        {
            let mut spec = base.clone();
            merge(&mut spec, &case.spec);
            tried += 1;
            if refusals(&spec).is_empty() {
                taken.push(case.name.as_str());
            }
        }
        assert!(tried >= 30, "{tried}");
        // Where the agents listen, and whether a request fits its limit, is of no consequence without pods.
        assert_eq!(taken, ["port-of-the-agent", "request-over-limit"]);
    }

    #[test]
    fn a_refusal_names_the_field() {
        let keyspace = json!({"name": "task", "key": "task:{id}", "ttl": "1m"});
        for (spec, paths) in [
            (json!({"memmory": {}}), vec!["spec.memmory"]),
            (json!({"replicas": "two"}), vec!["spec.replicas"]),
            (json!({"replicas": 10}), vec!["spec.replicas"]),
            (
                json!({"memory": {"policy": "magic"}}),
                vec!["spec.memory.policy"],
            ),
            (
                json!({"cache": {"keyspaces": [{"name": "task"}]}}),
                vec![
                    "spec.cache.keyspaces[task].key",
                    "spec.cache.keyspaces[task].ttl",
                ],
            ),
            (
                json!({"cache": {"keyspaces": [keyspace, keyspace]}}),
                vec!["spec.cache.keyspaces[task]"],
            ),
            (
                json!({"services": [{"name": "a b"}]}),
                vec!["spec.services[a b].name"],
            ),
            (
                json!({"services": [{"name": "a", "publish": ["x", "x"]}]}),
                vec!["spec.services[a].publish[1]"],
            ),
            (
                json!({"services": [{"name": "a", "publish": ["x"]}]}),
                vec!["spec.services[a].publish[x]"],
            ),
        ] {
            assert_eq!(refused_at(&spec), paths, "{spec}");
        }
        assert_eq!(refused_at(&Value::Null), ["spec"]);
        let other = text(&json!({})).replace("v1alpha1", "v2");
        let Err(Wrong::Bus(violations)) = bus(&other) else {
            panic!("another version is taken");
        };
        assert_eq!(violations[0].path, "apiVersion");
    }

    #[test]
    fn a_null_is_no_value() {
        assert!(refusals(&json!({"replicas": null, "services": []})).is_empty());
    }

    #[test]
    fn each_pattern_of_the_schema_compiles() {
        fn patterns(schema: &Value, found: &mut Vec<String>) {
            match schema {
                Value::Object(fields) => {
                    found.extend(
                        fields
                            .get("pattern")
                            .and_then(Value::as_str)
                            .map(str::to_owned),
                    );
                    fields.values().for_each(|value| patterns(value, found));
                }
                Value::Array(items) => items.iter().for_each(|item| patterns(item, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        patterns(&serde_json::to_value(&*SCHEMA).unwrap(), &mut found);
        assert!(found.len() > 10, "{}", found.len());
        for pattern in found {
            assert!(regex::Regex::new(&pattern).is_ok(), "{pattern}");
        }
    }
}

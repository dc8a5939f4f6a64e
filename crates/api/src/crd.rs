//! The custom resource definitions as they are installed.

use crate::{CacheBus, CacheBusBackup};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

/// Number formats that API servers do not know: they would warn at each apply. The ranges are there as `minimum` and `maximum`.
const FOREIGN_FORMATS: [&str; 4] = ["uint8", "uint16", "uint32", "uint64"];

/// The definition of [`CacheBus`], as API servers like it.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    tidied(CacheBus::crd())
}

/// The definition of [`CacheBusBackup`], likewise.
#[must_use]
pub fn backup_definition() -> CustomResourceDefinition {
    tidied(CacheBusBackup::crd())
}

fn tidied(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut definition.spec.versions {
        if let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|validation| validation.open_api_v3_schema.as_mut())
        {
            tidy(schema);
            bound_name(schema);
        }
    }
    definition
}

/// An explicit `null` is dropped by the API server where a field is not nullable, and a default takes its place; where it
/// is nullable, rules would meet it and fail with an error nobody understands.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if schema
        .format
        .as_deref()
        .is_some_and(|format| FOREIGN_FORMATS.contains(&format))
    {
        schema.format = None;
    }
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|map| map.values_mut())
    {
        tidy(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

/// Without a bound the API server reckons a rule on the name with the longest name that fits a request, and refuses the
/// definition as too costly.
fn bound_name(schema: &mut JSONSchemaProps) {
    let name = JSONSchemaProps {
        type_: Some("string".to_owned()),
        max_length: Some(253),
        ..JSONSchemaProps::default()
    };
    let metadata = JSONSchemaProps {
        type_: Some("object".to_owned()),
        properties: Some([("name".to_owned(), name)].into()),
        ..JSONSchemaProps::default()
    };
    schema
        .properties
        .get_or_insert_default()
        .insert("metadata".to_owned(), metadata);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{backup_definition, definition};
    use serde_json::Value;

    /// Every schema in the definition, with its path.
    fn schemas(path: &str, schema: &Value, found: &mut Vec<(String, Value)>) {
        found.push((path.to_owned(), schema.clone()));
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            schemas(&format!("{path}.{name}"), property, found);
        }
        for inner in ["items", "additionalProperties"] {
            if schema[inner].is_object() {
                schemas(&format!("{path}[]"), &schema[inner], found);
            }
        }
    }

    fn all() -> Vec<(String, Value)> {
        let mut found = Vec::new();
        for definition in [definition(), backup_definition()] {
            let definition = serde_json::to_value(definition).unwrap();
            let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            schemas("", schema, &mut found);
        }
        found
    }

    #[test]
    fn holds_nothing_that_api_servers_stumble_over() {
        for (path, schema) in all() {
            assert_eq!(schema["nullable"], Value::Null, "{path}");
            let format = schema["format"].as_str().unwrap_or_default();
            assert!(!format.starts_with("uint"), "{path}: {format}");
        }
    }

    #[test]
    fn bounds_every_list_of_the_projects_own() {
        let foreign = |path: &str| path.starts_with(".status") || path.starts_with(".spec.access");
        for (path, schema) in all() {
            if schema["type"] == "array" && !foreign(&path) {
                assert!(schema["maxItems"].is_u64(), "{path}");
            }
        }
    }

    #[test]
    fn documents_every_field() {
        for (path, schema) in all() {
            let documented = schema["description"].is_string();
            assert!(
                documented
                    || path.is_empty()
                    || path.starts_with(".metadata")
                    || path.ends_with("[]"),
                "{path}"
            );
        }
    }
}

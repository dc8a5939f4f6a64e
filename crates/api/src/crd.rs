//! The custom resource definition as it is installed.

use crate::CacheBus;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

/// Number formats that API servers do not know: they would warn at each apply. The ranges are there as `minimum` and `maximum`.
const FOREIGN_FORMATS: [&str; 4] = ["uint8", "uint16", "uint32", "uint64"];

/// The definition of [`CacheBus`], as API servers like it.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    let mut definition = CacheBus::crd();
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

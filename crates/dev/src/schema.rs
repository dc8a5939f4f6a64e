//! What the API server checks of an object by its schema, where there is no API server.
//!
//! CEL rules are not run here: what a bus cannot be without is checked once more by [`cachebus_core::bus::Bus::validate`].

use cachebus_core::bus::Violation;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Stable reason of everything that the schema refuses.
const REASON: &str = "SchemaViolated";

/// Takes away what API servers take away: a `null` where a field is not nullable. None of this project's is.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Everything of `value`, which is at `path`, that the schema refuses.
pub(crate) fn violations(schema: &JSONSchemaProps, path: &str, value: &Value) -> Vec<Violation> {
    let mut check = Check::default();
    check.value(schema, path, value);
    check.violations
}

#[derive(Default)]
struct Check<'a> {
    violations: Vec<Violation>,
    /// Those that were met, compiled. The schema is this project's own: each of them compiles, as a test says.
    patterns: BTreeMap<&'a str, Option<Regex>>,
}

impl<'a> Check<'a> {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.violations.push(Violation {
            path: path.to_owned(),
            reason: REASON,
            message: message.into(),
        });
    }

    fn value(&mut self, schema: &'a JSONSchemaProps, path: &str, value: &Value) {
        if let Some(wanted) = schema.type_.as_deref()
            && !is_of(wanted, value)
        {
            return self.add(path, format!("must be of type {wanted}: {value}"));
        }
        self.one_of(schema, path, value);
        match value {
            Value::String(text) => self.text(schema, path, text),
            Value::Number(number) => self.number(schema, path, number.as_f64()),
            Value::Array(items) => self.items(schema, path, items),
            Value::Object(fields) => self.fields(schema, path, fields),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn one_of(&mut self, schema: &'a JSONSchemaProps, path: &str, value: &Value) {
        let Some(values) = &schema.enum_ else { return };
        if !values.iter().any(|allowed| allowed.0 == *value) {
            let values: Vec<String> = values.iter().map(|allowed| allowed.0.to_string()).collect();
            self.add(path, format!("{value} is none of {}", values.join(", ")));
        }
    }

    fn text(&mut self, schema: &'a JSONSchemaProps, path: &str, text: &str) {
        let length = text.chars().count();
        self.amount(
            path,
            length,
            "characters",
            schema.min_length,
            schema.max_length,
        );
        let Some(pattern) = schema.pattern.as_deref() else {
            return;
        };
        let compiled = self.patterns.entry(pattern);
        let compiled = compiled.or_insert_with(|| Regex::new(pattern).ok());
        if !compiled.as_ref().is_some_and(|regex| regex.is_match(text)) {
            self.add(path, format!("{text:?} must match {pattern}"));
        }
    }

    fn number(&mut self, schema: &JSONSchemaProps, path: &str, number: Option<f64>) {
        let number = number.unwrap_or(f64::NAN);
        if let Some(least) = schema.minimum.filter(|least| number < *least) {
            self.add(path, format!("{number} must be at least {least}"));
        }
        if let Some(most) = schema.maximum.filter(|most| number > *most) {
            self.add(path, format!("{number} must be at most {most}"));
        }
    }

    fn items(&mut self, schema: &'a JSONSchemaProps, path: &str, items: &[Value]) {
        self.amount(
            path,
            items.len(),
            "entries",
            schema.min_items,
            schema.max_items,
        );
        let keys = schema.x_kubernetes_list_map_keys.as_deref();
        let is_set = schema.x_kubernetes_list_type.as_deref() == Some("set");
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let key = keys.map(|keys| key_of(keys, item));
            let path = match &key {
                Some(key) if !key.is_empty() => format!("{path}[{key}]"),
                _ => format!("{path}[{index}]"),
            };
            if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
                self.value(schema, &path, item);
            }
            let identity = key.or_else(|| is_set.then(|| item.to_string()));
            if identity.is_some_and(|identity| !seen.insert(identity)) {
                self.add(&path, "is there twice");
            }
        }
    }

    fn fields(&mut self, schema: &'a JSONSchemaProps, path: &str, fields: &Map<String, Value>) {
        let count = fields.len();
        self.amount(
            path,
            count,
            "entries",
            schema.min_properties,
            schema.max_properties,
        );
        for name in schema.required.iter().flatten() {
            if !fields.contains_key(name) {
                self.add(&format!("{path}.{name}"), "is required");
            }
        }
        for (name, value) in fields {
            let path = format!("{path}.{name}");
            let property = schema.properties.as_ref().and_then(|all| all.get(name));
            match (property, &schema.additional_properties) {
                (Some(property), _) => self.value(property, &path, value),
                (None, Some(JSONSchemaPropsOrBool::Schema(any))) => self.value(any, &path, value),
                (None, Some(JSONSchemaPropsOrBool::Bool(true))) => {}
                (None, _) => self.add(&path, "there is no such field"),
            }
        }
    }

    fn amount(
        &mut self,
        path: &str,
        amount: usize,
        what: &str,
        least: Option<i64>,
        most: Option<i64>,
    ) {
        let amount = i64::try_from(amount).unwrap_or(i64::MAX);
        if let Some(least) = least.filter(|least| amount < *least) {
            self.add(path, format!("must have at least {least} {what}"));
        }
        if let Some(most) = most.filter(|most| amount > *most) {
            self.add(path, format!("must have at most {most} {what}"));
        }
    }
}

fn is_of(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        _ => value.is_number(),
    }
}

/// What tells an entry from the others of its list.
fn key_of(keys: &[String], item: &Value) -> String {
    let parts: Vec<&str> = keys.iter().filter_map(|key| item[key].as_str()).collect();
    parts.join(",")
}

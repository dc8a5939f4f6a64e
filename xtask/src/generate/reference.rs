//! The API references, from the schemas of the custom resources.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::Value;

/// `docs/reference/cachebus.md`.
pub(super) fn reference() -> anyhow::Result<String> {
    page_of(&cachebus_api::crd::definition())
}

/// `docs/reference/cachebusbackup.md`.
pub(super) fn backup_reference() -> anyhow::Result<String> {
    page_of(&cachebus_api::crd::backup_definition())
}

fn page_of(definition: &impl Serialize) -> anyhow::Result<String> {
    let definition = serde_json::to_value(definition)?;
    let kind = definition
        .pointer("/spec/names/kind")
        .and_then(Value::as_str)
        .context("the custom resource has no kind")?;
    let schema = definition
        .pointer("/spec/versions/0/schema/openAPIV3Schema/properties")
        .context("the custom resource has no schema")?;
    let mut page = format!(
        "# `{kind}`, cachebus.dev/v1alpha1\n\nMade from the types by `cargo xtask generate`.\n\n\
         Durations are one or more of `<number><unit>` with units `ms`, `s`, `m`, `h`; amounts of bytes are whole numbers with `Ki` `Mi` `Gi` `Ti` or `k` `M` `G` `T`.\n",
    );
    for part in ["spec", "status"] {
        write!(page, "\n## {part}\n")?;
        section(&mut page, part, &schema[part])?;
    }
    Ok(page)
}

/// One table for an object, then one for each object within it.
fn section(page: &mut String, path: &str, schema: &Value) -> anyhow::Result<()> {
    let Some(properties) = schema["properties"].as_object() else {
        return Ok(());
    };
    if path.contains('.') {
        write!(page, "\n### `{path}`\n")?;
    }
    if let Some(rules) = schema["x-kubernetes-validations"].as_array() {
        page.push('\n');
        for rule in rules {
            writeln!(page, "- {}", rule["message"].as_str().unwrap_or_default())?;
        }
    }
    page.push_str("\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n");
    let required = schema["required"].as_array();
    for (name, field) in properties {
        let must = required.is_some_and(|names| names.iter().any(|n| n == name));
        let default = match &field["default"] {
            Value::Null if must => "required".to_owned(),
            Value::Null => String::new(),
            Value::Object(_) => "see below".to_owned(),
            value => format!("`{value}`"),
        };
        writeln!(
            page,
            "| `{name}` | {} | {default} | {} |",
            kind(field),
            meaning(field)
        )?;
    }
    for (name, field) in properties {
        if ours(field) {
            section(page, &format!("{path}.{name}"), field)?;
        } else if ours(&field["items"]) {
            section(page, &format!("{path}.{name}[]"), &field["items"])?;
        }
    }
    Ok(())
}

/// Whether this is an object of our own: types of Kubernetes itself are documented there.
fn ours(schema: &Value) -> bool {
    let foreign = [
        "matchExpressions",
        "tolerationSeconds",
        "lastTransitionTime",
    ];
    schema["properties"]
        .as_object()
        .is_some_and(|properties| !foreign.iter().any(|name| properties.contains_key(*name)))
}

fn kind(field: &Value) -> String {
    if let Some(values) = field["enum"].as_array() {
        let values: Vec<_> = values
            .iter()
            .filter(|value| !value.is_null())
            .map(|value| format!("`{}`", value.as_str().unwrap_or_default()))
            .collect();
        return values.join(", ");
    }
    match field["type"].as_str() {
        Some("array") => format!("list of {}", kind(&field["items"])),
        Some("object") if field["additionalProperties"].is_object() => "map of strings".to_owned(),
        Some(name) => bounds(name, field),
        None => "any".to_owned(),
    }
}

fn bounds(name: &str, field: &Value) -> String {
    match (field["minimum"].as_f64(), field["maximum"].as_f64()) {
        (Some(least), Some(most)) => format!("{name}, {least} to {most}"),
        (Some(least), None) => format!("{name}, at least {least}"),
        _ => name.to_owned(),
    }
}

fn meaning(field: &Value) -> String {
    let mut text = field["description"]
        .as_str()
        .unwrap_or_default()
        .replace('\n', " ")
        .replace('|', "\\|");
    if let Some(rules) = field["x-kubernetes-validations"].as_array()
        && !ours(field)
    {
        for rule in rules {
            let _ = write!(
                text,
                " Rule: {}.",
                rule["message"].as_str().unwrap_or_default()
            );
        }
    }
    text
}

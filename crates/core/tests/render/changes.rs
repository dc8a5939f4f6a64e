//! The difference between two sets of objects, for people.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Each place that differs, `<object> <path>: <before> → <after>`; of a list of texts those that went and those that came.
pub fn between(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) -> Vec<String> {
    let mut changes = Vec::new();
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        compare(
            &format!("{name} "),
            before.get(name),
            after.get(name),
            &mut changes,
        );
    }
    changes
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<String>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
            for key in keys {
                compare(
                    &format!("{path}/{key}"),
                    before.get(key),
                    after.get(key),
                    changes,
                );
            }
        }
        (Some(Value::Array(before)), Some(Value::Array(after)))
            if texts(before) && texts(after) =>
        {
            let gone = before.iter().filter(|text| !after.contains(text));
            let come = after.iter().filter(|text| !before.contains(text));
            changes.extend(gone.map(|text| format!("{path}: - {}", text.as_str().unwrap())));
            changes.extend(come.map(|text| format!("{path}: + {}", text.as_str().unwrap())));
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) => {
            for index in 0..before.len().max(after.len()) {
                let path = format!("{path}/{index}");
                compare(&path, before.get(index), after.get(index), changes);
            }
        }
        (before, after) => changes.push(format!("{path}: {} → {}", shown(before), shown(after))),
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "nothing".to_owned(), Value::to_string)
}

fn texts(items: &[Value]) -> bool {
    items.iter().all(Value::is_string)
}

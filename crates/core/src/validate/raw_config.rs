//! Further engine directives.

use super::violation;
use crate::bus::Violation;
use crate::config::objection;
use crate::engine::Capabilities;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn violations(
    config: &BTreeMap<String, String>,
    engine: &Capabilities,
) -> Vec<Violation> {
    let mut seen = BTreeSet::new();
    config
        .iter()
        .filter_map(|(directive, value)| {
            let path = format!("spec.config[{directive}]");
            if !seen.insert(directive.to_ascii_lowercase()) {
                let message = "is there twice; directives are the same in either case";
                return Some(violation(path, "DirectiveRepeated", message));
            }
            let objection = objection(directive, value, engine)?;
            Some(violation(path, objection.reason, objection.message))
        })
        .collect()
}

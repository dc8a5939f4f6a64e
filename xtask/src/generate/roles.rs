//! The rules of the chart's roles, from the list of what the operator does at the API server.

use std::fmt::Write as _;

use cachebus_core::rbac::Rule;

/// A list of RBAC rules, each with its reason as a comment.
pub(super) fn rules(rules: &[Rule]) -> anyhow::Result<String> {
    let mut text = String::from("# Made from crates/core/src/rbac.rs by `cargo xtask generate`.\n");
    for rule in rules {
        write!(
            text,
            "# {}\n- apiGroups: [{:?}]\n  resources: [{}]\n  verbs: [{}]\n",
            rule.why,
            rule.group,
            rule.resource,
            rule.verbs.join(", ")
        )?;
    }
    Ok(text)
}

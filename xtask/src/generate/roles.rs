//! The rules of the chart's roles, from the list of what the operator does at the API server.

use std::fmt::Write as _;

use cachebus_core::rbac::Rule;

/// Does not name an object yet.
const CREATE: &str = "create";

/// A list of RBAC rules, each with its reason as a comment. `only`: the one object that they are about, as the chart names it.
pub(super) fn rules(rules: &[Rule], only: Option<&str>) -> anyhow::Result<String> {
    let mut text = String::from("# Made from crates/core/src/rbac.rs by `cargo xtask generate`.\n");
    for rule in rules {
        let (unnamed, named): (Vec<&str>, Vec<&str>) = rule
            .verbs
            .iter()
            .copied()
            .partition(|verb| only.is_none() || *verb == CREATE);
        for (verbs, name) in [(unnamed, None), (named, only)] {
            if verbs.is_empty() {
                continue;
            }
            write!(
                text,
                "# {}\n- apiGroups: [{:?}]\n  resources: [{}]\n",
                rule.why, rule.group, rule.resource
            )?;
            if let Some(name) = name {
                writeln!(text, "  resourceNames: [{name}]")?;
            }
            writeln!(text, "  verbs: [{}]", verbs.join(", "))?;
        }
    }
    Ok(text)
}

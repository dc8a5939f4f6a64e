//! The bus's name, after which every object of it is named.

use super::violation;
use crate::bus::Violation;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Longest name: with the longest suffix it is still a DNS label.
const LONGEST: usize = 40;

pub(super) fn violations(metadata: &ObjectMeta) -> Vec<Violation> {
    let name = metadata.name.as_deref().unwrap_or_default();
    let label = name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.len() <= LONGEST
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    // `a` with the service `x-tls` and the bus `a-binding-x` would both have a Secret `a-binding-x-tls`; `a` and
    // `a-operator` both one `a-operator-tls`.
    let shared = format!("{name}-").contains("-binding-") || name.ends_with("-operator");
    let mut violations = Vec::new();
    if !label {
        violations.push(violation(
            "metadata.name",
            "NameInvalid",
            format!(
                "must be a DNS label of at most {LONGEST} characters that starts with a letter"
            ),
        ));
    }
    if shared {
        violations.push(violation(
            "metadata.name",
            "NameReserved",
            "must not end in '-operator' nor have a part 'binding' after the first: objects of another bus may be named so",
        ));
    }
    violations
}

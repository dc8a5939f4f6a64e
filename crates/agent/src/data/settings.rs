//! Which settings of the server are told to the operator.

use cachebus_admin::LiveConfig;
use cachebus_core::config::accepted;
use std::collections::{BTreeMap, BTreeSet};

/// The settings that the operator compares with the spec, and no others: what the mounted file names, and what it may name
/// as soon as the spec does. No password is among them, whatever an engine calls its own.
pub(super) fn compared(mounted: &str, live: &LiveConfig) -> BTreeMap<String, String> {
    let in_file = mounted
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().next());
    let names: BTreeSet<&str> = accepted()
        .into_iter()
        .map(|accepted| accepted.directive)
        .chain(in_file)
        .collect();
    names
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), live.get(name)?.to_owned())))
        .collect()
}

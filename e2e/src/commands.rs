//! Which commands a server has run.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::nodes::Node;

/// Commands that look, and those by which servers and Sentinels keep in touch. Every other one changes something.
const HARMLESS: &[&str] = &[
    "acl|list",
    "auth",
    "client|setinfo",
    "client|setname",
    "config|get",
    "fcall_ro",
    "function|list",
    "hello",
    "hget",
    "info",
    "ping",
    "psync",
    "publish",
    "replconf",
    "role",
    "scan",
    "select",
    "subscribe",
    "time",
    "type",
    "xinfo|consumers",
    "xinfo|groups",
    "xlen",
    "xpending",
    "xrange",
];

/// Calls so far of each state-changing command.
pub async fn state_changing(node: &Node) -> anyhow::Result<BTreeMap<String, u64>> {
    let calls = node.info("commandstats").await?;
    calls
        .into_iter()
        .filter_map(|(name, figures)| {
            let command = name.strip_prefix("cmdstat_")?.to_owned();
            let harmless = HARMLESS.contains(&command.as_str());
            (!harmless).then(|| Ok((command, calls_of(&figures)?)))
        })
        .collect()
}

fn calls_of(figures: &str) -> anyhow::Result<u64> {
    figures
        .split(',')
        .find_map(|figure| figure.strip_prefix("calls="))
        .context("a command without calls")?
        .parse()
        .context("calls of a command")
}

/// What has grown, or is new, and by how much.
pub fn grown(
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
) -> BTreeMap<String, u64> {
    after
        .iter()
        .map(|(command, calls)| {
            let old = before.get(command).copied().unwrap_or_default();
            (command.clone(), calls.saturating_sub(old))
        })
        .filter(|(_, more)| *more > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn calls_are_read_wherever_they_stand() {
        assert_eq!(calls_of("calls=12,usec=3").unwrap(), 12);
        assert_eq!(calls_of("usec=3,calls=7").unwrap(), 7);
        assert!(calls_of("usec=3").is_err());
    }

    #[test]
    fn a_command_that_was_never_run_before_has_grown() {
        let before = BTreeMap::from([("set".to_owned(), 2)]);
        let after = BTreeMap::from([("set".to_owned(), 2), ("del".to_owned(), 1)]);
        assert_eq!(
            grown(&before, &after),
            BTreeMap::from([("del".to_owned(), 1)])
        );
    }
}

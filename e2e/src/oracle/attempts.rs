//! The whole matrix of one service as cells for the client.

use cachebus_core::names::Component;
use cachebus_e2e::cells::{Cell, Expected, Way};

use super::keyspaces::operations;
use super::{Catalogue, Oracle, events, keyspaces};

/// Keys that are no service's.
const FOREIGN_KEYS: &[&str] = &[
    "e2e",
    "other:e2e",
    "events:other:thing:history",
    "events:other:thing:ids",
    "events:other:thing:lost",
    "events:other:thing:stream",
    "events:e2e",
    "__sentinel__:hello",
];

/// Channels that are no service's. Who may publish to the Sentinels' own moves the primary.
const FOREIGN_CHANNELS: &[&str] = &[
    "e2e",
    "other:thing",
    "__sentinel__:hello",
    "__keyspace@0__:agent:1",
    "__redis__:invalidate",
];

/// Patterns that would hear what is no service's.
const FOREIGN_PATTERNS: &[&str] = &[
    "*",
    "?*",
    "__sentinel__:*",
    "__keyspace@0__:*",
    "events:*",
    "[a-z]*",
];

/// Every attempt of a service, and what has to come of it.
pub fn attempts(oracle: &Oracle<'_>, servers: &Catalogue, sentinels: &Catalogue) -> Vec<Cell> {
    let mut cells = Vec::new();
    for way in [Way::Service, Way::ThroughSentinel] {
        cells.extend(on_the_contract(oracle, way));
        cells.extend(foreign(way));
    }
    cells.extend(every_command(oracle, Component::Redis, servers));
    cells.extend(every_command(oracle, Component::Sentinel, sentinels));
    cells.extend(channels_of_sentinels());
    cells
}

fn cell(about: &str, way: Way, command: &[&str], granted: bool) -> Cell {
    Cell {
        about: about.to_owned(),
        way,
        command: command.iter().map(|&word| word.to_owned()).collect(),
        expected: if granted {
            Expected::Granted
        } else {
            Expected::Denied
        },
    }
}

fn on_the_contract(oracle: &Oracle<'_>, way: Way) -> impl Iterator<Item = Cell> {
    let Oracle { spec, service } = oracle;
    let cache = keyspaces::attempts(spec, service);
    let events = events::attempts(spec, service);
    cache
        .into_iter()
        .chain(events)
        .map(move |(about, command, granted)| Cell {
            about,
            way,
            command,
            expected: if granted {
                Expected::Granted
            } else {
                Expected::Denied
            },
        })
}

fn foreign(way: Way) -> Vec<Cell> {
    let keys = FOREIGN_KEYS
        .iter()
        .flat_map(|key| operations(key))
        .map(|command| Cell {
            about: "foreign key".to_owned(),
            way,
            command,
            expected: Expected::Denied,
        });
    let channels = FOREIGN_CHANNELS.iter().flat_map(|channel| {
        [vec!["PUBLISH", channel, "1"], vec!["SUBSCRIBE", channel]]
            .map(|command| cell("foreign channel", way, &command, false))
    });
    let patterns = FOREIGN_PATTERNS
        .iter()
        .map(|pattern| cell("foreign pattern", way, &["PSUBSCRIBE", pattern], false));
    keys.chain(channels).chain(patterns).collect()
}

/// Each command that the server has, granted or denied as a command, whatever the key.
fn every_command<'a>(
    oracle: &'a Oracle<'_>,
    component: Component,
    catalogue: &'a Catalogue,
) -> impl Iterator<Item = Cell> + 'a {
    catalogue.0.iter().map(move |command| Cell {
        about: format!("command {}", command.name),
        way: match component {
            Component::Redis => Way::Service,
            Component::Sentinel => Way::Sentinel,
        },
        command: command.attempt(),
        expected: if oracle.may_run(component, command) {
            Expected::CommandGranted
        } else {
            Expected::CommandDenied
        },
    })
}

fn channels_of_sentinels() -> Vec<Cell> {
    [
        (vec!["SUBSCRIBE", "+switch-master"], true),
        (vec!["SUBSCRIBE", "-sdown"], true),
        (vec!["PSUBSCRIBE", "+*"], true),
        (vec!["SUBSCRIBE", "__sentinel__:hello"], false),
        (vec!["PSUBSCRIBE", "*"], false),
        (vec!["PUBLISH", "__sentinel__:hello", "1"], false),
        (vec!["PUBLISH", "+switch-master", "1"], false),
    ]
    .into_iter()
    .map(|(command, granted)| cell("channel of the Sentinels", Way::Sentinel, &command, granted))
    .collect()
}

//! Keys, channels and commands of a user or of one of its selectors, in one form for equal rights.

use std::collections::{BTreeMap, BTreeSet};

/// What may be done with the keys of a pattern.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Access {
    read: bool,
    write: bool,
}

#[derive(Clone, Default, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Selector {
    keys: BTreeMap<String, Access>,
    channels: BTreeSet<String>,
    commands: Commands,
}

/// Rules about commands, the ones that matter: what follows the last `+@all` or `-@all`, each once.
#[derive(Clone, Default, Debug)]
struct Commands {
    all: bool,
    rules: Vec<String>,
}

impl Selector {
    /// Takes in one rule; `false` when it is none about keys, channels or commands.
    pub(super) fn take(&mut self, rule: &str) -> bool {
        match rule {
            "allkeys" => self.allow_keys(
                "*",
                Access {
                    read: true,
                    write: true,
                },
            ),
            "resetkeys" => self.keys.clear(),
            "allchannels" => self.allow_channel("*"),
            "resetchannels" => self.channels.clear(),
            "allcommands" | "+@all" => self.commands.restart(true),
            "nocommands" | "-@all" => self.commands.restart(false),
            _ => return self.take_pattern(rule),
        }
        true
    }

    fn take_pattern(&mut self, rule: &str) -> bool {
        if let Some(pattern) = rule.strip_prefix('~') {
            self.allow_keys(
                pattern,
                Access {
                    read: true,
                    write: true,
                },
            );
        } else if let Some((flags, pattern)) =
            rule.strip_prefix('%').and_then(|rest| rest.split_once('~'))
        {
            let has = |flag: char| flags.chars().any(|c| c.eq_ignore_ascii_case(&flag));
            self.allow_keys(
                pattern,
                Access {
                    read: has('R'),
                    write: has('W'),
                },
            );
        } else if let Some(pattern) = rule.strip_prefix('&') {
            self.allow_channel(pattern);
        } else if rule.starts_with(['+', '-']) {
            self.commands.take(&rule.to_ascii_lowercase());
        } else {
            return false;
        }
        true
    }

    fn allow_keys(&mut self, pattern: &str, access: Access) {
        let known = self.keys.entry(pattern.to_owned()).or_default();
        known.read |= access.read;
        known.write |= access.write;
        let all = Access {
            read: true,
            write: true,
        };
        if self.keys.get("*") == Some(&all) {
            self.keys.retain(|pattern, _| pattern == "*");
        }
    }

    fn allow_channel(&mut self, pattern: &str) {
        self.channels.insert(pattern.to_owned());
        if self.channels.contains("*") {
            self.channels.retain(|pattern| pattern == "*");
        }
    }
}

impl Commands {
    fn restart(&mut self, all: bool) {
        self.all = all;
        self.rules.clear();
    }

    /// A later rule about a command replaces an earlier one about it or about its subcommands.
    fn take(&mut self, rule: &str) {
        let subject = &rule[1..];
        self.rules.retain(|earlier| {
            let earlier = &earlier[1..];
            earlier != subject
                && earlier
                    .strip_prefix(subject)
                    .is_none_or(|rest| !rest.starts_with('|'))
        });
        self.rules.push(rule.to_owned());
    }

    /// Order matters only where a rule gives and another takes.
    fn canonical(&self) -> (bool, Vec<&str>) {
        let mut rules: Vec<_> = self.rules.iter().map(String::as_str).collect();
        let takes = rules.iter().filter(|rule| rule.starts_with('-')).count();
        if takes == 0 || takes == rules.len() {
            rules.sort_unstable();
        }
        (self.all, rules)
    }
}

impl PartialEq for Commands {
    fn eq(&self, other: &Self) -> bool {
        self.canonical() == other.canonical()
    }
}

impl Eq for Commands {}

impl PartialOrd for Commands {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Commands {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.canonical().cmp(&other.canonical())
    }
}

//! How an engine decides by an ACL file: enough of it for the rules that the project writes.

use std::collections::BTreeMap;

/// The users of a file.
pub struct Users(BTreeMap<String, Vec<Selector>>);

#[derive(Default)]
struct Selector {
    commands: Vec<String>,
    all_commands: bool,
    keys: Vec<Glob>,
    channels: Vec<String>,
}

struct Glob {
    read_only: bool,
    text: String,
}

/// What a command does to its keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    Read,
    Write,
}

impl Users {
    pub fn of(file: &str) -> Self {
        Self(
            file.lines()
                .map(|line| {
                    let (user, rules) =
                        line.strip_prefix("user ").unwrap().split_once(' ').unwrap();
                    (user.to_owned(), selectors(rules))
                })
                .collect(),
        )
    }

    pub fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// Every command that the user may send on something.
    pub fn commands(&self, user: &str) -> impl Iterator<Item = &str> {
        self.0[user]
            .iter()
            .flat_map(|selector| &selector.commands)
            .map(String::as_str)
    }

    /// A command is allowed when one selector allows all of it.
    pub fn allows_key(&self, user: &str, command: &str, touch: Touch, key: &str) -> bool {
        self.0[user].iter().any(|selector| {
            selector.has(command)
                && selector.keys.iter().any(|glob| {
                    (touch == Touch::Read || !glob.read_only) && glob_matches(&glob.text, key)
                })
        })
    }

    pub fn allows_channel(&self, user: &str, command: &str, channel: &str) -> bool {
        self.0[user].iter().any(|selector| {
            selector.has(command)
                && selector.channels.iter().any(|granted| {
                    if command == "psubscribe" {
                        granted == channel
                    } else {
                        glob_matches(granted, channel)
                    }
                })
        })
    }

    /// A command without keys and channels.
    pub fn allows(&self, user: &str, command: &str) -> bool {
        self.0[user].iter().any(|selector| selector.has(command))
    }
}

impl Selector {
    fn has(&self, command: &str) -> bool {
        self.all_commands || self.commands.iter().any(|granted| granted == command)
    }

    fn take(&mut self, rule: &str) {
        let glob = |read_only, text: &str| Glob {
            read_only,
            text: text.to_owned(),
        };
        if let Some(command) = rule.strip_prefix('+') {
            if command == "@all" {
                self.all_commands = true;
            } else {
                self.commands.push(command.to_owned());
            }
        } else if let Some(text) = rule.strip_prefix("%R~") {
            self.keys.push(glob(true, text));
        } else if let Some(text) = rule.strip_prefix('~') {
            self.keys.push(glob(false, text));
        } else if let Some(text) = rule.strip_prefix('&') {
            self.channels.push(text.to_owned());
        } else {
            let known = ["on", "off", "resetpass", "resetchannels", "-@all"];
            assert!(known.contains(&rule) || rule.starts_with('#'), "{rule}");
        }
    }
}

/// The user's own rules and each of its selectors.
fn selectors(rules: &str) -> Vec<Selector> {
    rules
        .split(['(', ')'])
        .map(|rules| {
            let mut selector = Selector::default();
            rules
                .split_whitespace()
                .for_each(|rule| selector.take(rule));
            selector
        })
        .collect()
}

/// `stringmatchlen` of the engines.
pub fn glob_matches(glob: &str, text: &str) -> bool {
    matches(glob.as_bytes(), text.as_bytes())
}

fn matches(glob: &[u8], text: &[u8]) -> bool {
    match glob {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
        [b'?', rest @ ..] => !text.is_empty() && matches(rest, &text[1..]),
        [b'[', class @ ..] => {
            let end = class_end(class);
            let Some((&first, others)) = text.split_first() else {
                return false;
            };
            in_class(&class[..end], first) && matches(&class[end + 1..], others)
        }
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            text.first() == Some(literal) && matches(rest, &text[1..])
        }
    }
}

fn class_end(class: &[u8]) -> usize {
    let mut at = 0;
    while class[at] != b']' {
        at += if class[at] == b'\\' { 2 } else { 1 };
    }
    at
}

fn in_class(class: &[u8], character: u8) -> bool {
    let (negated, mut members) = match class {
        [b'^', members @ ..] => (true, members),
        members => (false, members),
    };
    let mut found = false;
    while let Some((&first, rest)) = members.split_first() {
        members = match (first, rest) {
            (b'\\', [escaped, rest @ ..]) => {
                found |= *escaped == character;
                rest
            }
            (from, [b'-', to, rest @ ..]) => {
                found |= (from..=*to).contains(&character);
                rest
            }
            (member, rest) => {
                found |= member == character;
                rest
            }
        };
    }
    found != negated
}

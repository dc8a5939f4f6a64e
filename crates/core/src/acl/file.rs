//! The ACL file: one `user …` line for each user.

use super::selector::Selector;
use crate::credentials::{Credentials, hex_sha256};
use std::collections::BTreeMap;

/// `default` cannot log in, yet may do everything: engines replay the append-only file by its rights, and several of them
/// drop every transaction of it where `default` may not run it.
const DEFAULT_USER: &str = "user default off resetpass ~* &* +@all\n";

/// A user's rules without its password. Its connection-level commands are its own; rights on keys and channels of
/// services are selectors.
pub(super) struct Line {
    user: String,
    rules: Vec<String>,
}

impl Line {
    pub(super) fn new(user: &str) -> Self {
        Self {
            user: user.to_owned(),
            rules: vec!["resetchannels".to_owned(), "-@all".to_owned()],
        }
    }

    pub(super) fn commands(mut self, commands: &[&str]) -> Self {
        self.rules
            .extend(commands.iter().map(|command| format!("+{command}")));
        self
    }

    pub(super) fn channels(mut self, channels: &[&str]) -> Self {
        self.rules
            .extend(channels.iter().map(|channel| format!("&{channel}")));
        self
    }

    /// Bytes of the line, but for the hash.
    pub(super) fn len(&self) -> usize {
        self.rules
            .iter()
            .fold(self.user.len(), |length, rule| length + 1 + rule.len())
    }

    pub(super) fn selector(mut self, selector: &Selector) -> Self {
        self.rules.extend(selector.rule());
        self
    }
}

/// The text of a file. A user whose password is not known gets no line.
pub(super) fn text(lines: impl IntoIterator<Item = Line>, credentials: &Credentials) -> String {
    lines
        .into_iter()
        .filter_map(|line| {
            let hash = credentials.passwords.get(&line.user)?.sha256();
            let rules = line.rules.join(" ");
            Some(format!("user {} on #{hash} {rules}\n", line.user))
        })
        .fold(DEFAULT_USER.to_owned(), |file, line| file + &line)
}

/// Lower-case hex SHA-256 of an ACL file's text, by which operator and agents tell whether they mean the same.
#[must_use]
pub fn digest(text: &str) -> String {
    hex_sha256(text)
}

/// The password hash of each user in the text of an ACL file; lines that hold none are passed over.
#[must_use]
pub fn hashes(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let user = (words.next()? == "user").then(|| words.next())??;
            let hash = words.find_map(|word| word.strip_prefix('#'))?;
            Some((user.to_owned(), hash.to_owned()))
        })
        .collect()
}

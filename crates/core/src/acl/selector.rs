//! One right: these commands, on these keys and channels, and nothing of it beyond.

use std::collections::BTreeSet;
use std::fmt::Write as _;

/// A selector, `( … )`. Within one user each right is a selector of its own, for engines grant a command when one
/// selector allows all of it: in one flat list a subscriber of a channel could publish to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    commands: Vec<&'static str>,
    keys: BTreeSet<String>,
    channels: BTreeSet<String>,
}

impl Selector {
    pub(super) fn new(commands: &[&[&'static str]]) -> Self {
        Self {
            commands: commands.concat(),
            ..Self::default()
        }
    }

    /// Keys that may be read.
    pub(super) fn reading(mut self, globs: impl IntoIterator<Item = String>) -> Self {
        self.keys
            .extend(globs.into_iter().map(|glob| format!("%R~{glob}")));
        self
    }

    /// Keys that may be read and written.
    pub(super) fn writing(mut self, globs: impl IntoIterator<Item = String>) -> Self {
        self.keys
            .extend(globs.into_iter().map(|glob| format!("~{glob}")));
        self
    }

    /// Channels. A pattern may be subscribed to only where it is granted literally.
    pub(super) fn channels(mut self, channels: impl IntoIterator<Item = String>) -> Self {
        self.channels
            .extend(channels.into_iter().map(|channel| format!("&{channel}")));
        self
    }

    /// The rule; `None` where there is nothing that the commands could be used on.
    pub(super) fn rule(&self) -> Option<String> {
        if self.keys.is_empty() && self.channels.is_empty() {
            return None;
        }
        let mut rule = String::from("(resetchannels -@all");
        let commands = self.commands.iter().map(|command| format!("+{command}"));
        for word in commands.chain(self.keys.iter().chain(&self.channels).cloned()) {
            // Writing to a String cannot fail.
            let _ = write!(rule, " {word}");
        }
        rule.push(')');
        Some(rule)
    }
}

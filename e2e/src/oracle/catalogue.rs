//! The commands that a server has, asked of itself.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use redis::{Value, from_redis_value};

use crate::nodes::Node;

/// One command. A command with subcommands is not one, each of its subcommands is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// `get`, `config|get`.
    pub name: String,
    /// Words that it needs at least, its own included.
    pub words: usize,
    /// It is run before the login too, whatever the rights.
    pub without_login: bool,
    /// ACL categories, without `@`.
    pub categories: Vec<String>,
}

/// All commands of a server.
pub struct Catalogue(pub Vec<Command>);

impl Catalogue {
    /// Asks a server.
    pub async fn of(node: &Node) -> anyhow::Result<Self> {
        let mut commands = Vec::new();
        for entry in node.call::<Vec<Value>>(&["COMMAND"]).await? {
            collect(entry, &mut commands)?;
        }
        ensure!(!commands.is_empty(), "{} has no commands", node.pod);
        Ok(Self(commands))
    }

    /// Of each category: how many commands there are, and how many `granted` says to be granted.
    pub fn by_category(
        &self,
        granted: impl Fn(&Command) -> bool,
    ) -> BTreeMap<&str, (usize, usize)> {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for command in &self.0 {
            for category in &command.categories {
                let (all, mine) = counts.entry(category).or_default();
                *all += 1;
                *mine += usize::from(granted(command));
            }
        }
        counts
    }
}

impl Command {
    /// The command with as many arguments as it needs.
    pub fn attempt(&self) -> Vec<String> {
        let mut words: Vec<String> = self.name.split('|').map(str::to_owned).collect();
        words.resize(self.words.max(words.len()), "e2e".to_owned());
        words
    }
}

/// An entry of the answer to COMMAND: name, arity, flags, keys (three numbers), categories, tips, key specifications, subcommands.
fn collect(entry: Value, commands: &mut Vec<Command>) -> anyhow::Result<()> {
    let fields: Vec<Value> = from_redis_value(entry)?;
    let mut fields = fields.into_iter();
    let mut next = || fields.next().context("an entry of COMMAND ends early");
    let name: String = from_redis_value(next()?)?;
    let arity: i64 = from_redis_value(next()?)?;
    let flags: Vec<String> = from_redis_value(next()?)?;
    for _ in 0..3 {
        next()?;
    }
    let categories: Vec<String> = from_redis_value(next()?)?;
    for _ in 0..2 {
        next()?;
    }
    let subcommands: Vec<Value> = from_redis_value(next()?)?;
    if !subcommands.is_empty() {
        return subcommands
            .into_iter()
            .try_for_each(|entry| collect(entry, commands));
    }
    commands.push(Command {
        name: name.to_ascii_lowercase(),
        words: usize::try_from(arity.unsigned_abs())?,
        without_login: flags.iter().any(|flag| flag == "no_auth"),
        categories: categories
            .iter()
            .map(|category| category.trim_start_matches('@').to_owned())
            .collect(),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Command;

    #[test]
    fn an_attempt_has_as_many_words_as_the_command_needs() {
        let command = Command {
            name: "config|set".to_owned(),
            words: 4,
            without_login: false,
            categories: Vec::new(),
        };
        assert_eq!(command.attempt(), ["config", "set", "e2e", "e2e"]);
    }
}

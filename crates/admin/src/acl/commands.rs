//! The ACL commands.

use std::fmt;

use crate::{command::Command, connection::Connection, error::Error};

/// The ACL of one connected server or Sentinel. ACLs are not replicated: each node has its own.
#[derive(Clone, Copy)]
pub struct Acl<'a> {
    connection: &'a Connection,
}

impl fmt::Debug for Acl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Acl")
            .field(&self.connection.endpoint().address)
            .finish()
    }
}

/// Whether a user may run a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DryRun {
    /// It may.
    Allowed,
    /// It may not, with the engine's explanation.
    Denied(String),
}

impl<'a> Acl<'a> {
    pub(crate) fn new(connection: &'a Connection) -> Self {
        Self { connection }
    }

    /// One line for each user, `user <name> <rules…>`, as the engine normalises it. Holds hashes of passwords.
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        self.connection.call(Command::new("ACL LIST")).await
    }

    /// The names of all users.
    pub async fn users(&self) -> Result<Vec<String>, Error> {
        self.connection.call(Command::new("ACL USERS")).await
    }

    /// Replaces all rules of a user, or makes it: `reset` and the rules in one call, so that no moment without rights ends its
    /// subscriptions. A selector is one rule, its parentheses included. All or nothing.
    pub async fn set_user<R: AsRef<str>>(&self, name: &str, rules: &[R]) -> Result<(), Error> {
        let command = Command::new("ACL SETUSER").arg(name).arg("reset");
        let command = rules
            .iter()
            .map(AsRef::as_ref)
            .fold(command, |command, rule| {
                if rule.starts_with(['>', '<', '#', '!']) {
                    command.secret(rule)
                } else {
                    command.arg(rule)
                }
            });
        self.connection.call(command).await
    }

    /// Removes a user and ends its connections; returns whether there was one.
    pub async fn del_user(&self, name: &str) -> Result<bool, Error> {
        let removed: u64 = self
            .connection
            .call(Command::new("ACL DELUSER").arg(name))
            .await?;
        Ok(removed > 0)
    }

    /// Whether `user` may run `command`, without running it. Refused for a user or a command that does not exist.
    pub async fn dry_run(&self, user: &str, command: &[&str]) -> Result<DryRun, Error> {
        let answer: String = self
            .connection
            .call(Command::new("ACL DRYRUN").arg(user).args(command))
            .await?;
        Ok(if answer == "OK" {
            DryRun::Allowed
        } else {
            DryRun::Denied(answer)
        })
    }
}

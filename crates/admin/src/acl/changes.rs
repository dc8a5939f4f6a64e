//! From what is to what shall be, with the fewest changes.

use std::{collections::BTreeMap, fmt};

use super::{
    commands::Acl,
    file::{AclFile, split_line},
    ledger::AclLedger,
    rules::Rules,
};
use crate::error::Error;

/// One user to change.
#[derive(Clone, PartialEq, Eq)]
pub enum AclChange {
    /// Make the user, or replace all its rules.
    Set {
        /// The user.
        user: String,
        /// Its rules.
        rules: Vec<String>,
    },
    /// Remove the user, which ends its connections.
    Delete {
        /// The user.
        user: String,
    },
}

impl AclChange {
    /// The user it is about.
    pub fn user(&self) -> &str {
        match self {
            Self::Set { user, .. } | Self::Delete { user } => user,
        }
    }
}

impl fmt::Debug for AclChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self {
            Self::Set { .. } => "Set",
            Self::Delete { .. } => "Delete",
        };
        f.debug_tuple(verb).field(&self.user()).finish()
    }
}

/// What came of a list of changes. A user that is refused, say for a command this engine does not know, does not hold up the others.
#[derive(Debug, Default)]
pub struct ApplyReport {
    /// Users that were set.
    pub set: Vec<String>,
    /// Users that were removed.
    pub deleted: Vec<String>,
    /// Users that were not changed, and why.
    pub failed: Vec<(String, Error)>,
}

/// The changes that bring the users listed in `live` (the lines of `ACL LIST`) to `desired`; none when they have the same rights.
/// Users are set before others are removed, so that nobody is without access in between.
pub fn diff(desired: &AclFile, live: &[String], ledger: &AclLedger) -> Vec<AclChange> {
    let live = by_user(live);
    let sets = desired
        .users
        .iter()
        .filter(|(user, rules)| {
            !live.get(user.as_str()).is_some_and(|listed| {
                ledger.holds(user, rules, listed) || Rules::of(rules) == Rules::of(listed)
            })
        })
        .map(|(user, rules)| AclChange::Set {
            user: user.clone(),
            rules: rules.clone(),
        });
    let deletions = live
        .keys()
        .filter(|&&user| !desired.users.contains_key(user))
        .map(|&user| AclChange::Delete {
            user: user.to_owned(),
        });
    sets.chain(deletions).collect()
}

impl Acl<'_> {
    /// Makes `changes`, one call for each user, and enters what the engine made of them in `ledger`. An error is one of listing the users
    /// afterwards; what was applied then counts as unknown and is applied again.
    pub async fn apply(
        &self,
        changes: &[AclChange],
        ledger: &mut AclLedger,
    ) -> Result<ApplyReport, Error> {
        let mut report = ApplyReport::default();
        if changes.is_empty() {
            return Ok(report);
        }
        for change in changes {
            ledger.forget(change.user());
            let (outcome, done) = match change {
                AclChange::Set { user, rules } => {
                    (self.set_user(user, rules).await, &mut report.set)
                }
                AclChange::Delete { user } => {
                    (self.del_user(user).await.map(drop), &mut report.deleted)
                }
            };
            match outcome {
                Ok(()) => done.push(change.user().to_owned()),
                Err(error) => report.failed.push((change.user().to_owned(), error)),
            }
        }
        let listing = self.list().await?;
        let mut live = by_user(&listing);
        for change in changes {
            if let AclChange::Set { user, rules } = change
                && report.set.contains(user)
                && let Some(listed) = live.remove(user.as_str())
            {
                ledger.record(user, rules, listed);
            }
        }
        Ok(report)
    }
}

fn by_user(listing: &[String]) -> BTreeMap<&str, Vec<String>> {
    listing
        .iter()
        .filter_map(|line| split_line(line))
        .filter_map(|(user, rules)| Some((user, rules?)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn file(lines: &str) -> AclFile {
        AclFile::parse(&format!("user default off resetpass ~* &* +@all\n{lines}")).unwrap()
    }

    fn live(lines: &[&str]) -> Vec<String> {
        std::iter::once("user default off ~* &* +@all")
            .chain(lines.iter().copied())
            .map(str::to_owned)
            .collect()
    }

    fn words(rules: &str) -> Vec<String> {
        rules.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn equal_rights_need_no_change() {
        let desired = file("user a on #aa ~k -@all +get");
        let listed = live(&["user a on sanitize-payload #aa ~k resetchannels -@all +get"]);
        assert_eq!(diff(&desired, &listed, &AclLedger::new()), []);
    }

    #[test]
    fn new_and_changed_users_are_set_before_strangers_are_removed() {
        let desired = file("user b on ~b\nuser c on ~c");
        let listed = live(&["user a on", "user b on ~x"]);
        let changes = diff(&desired, &listed, &AclLedger::new());
        assert_eq!(
            format!("{changes:?}"),
            r#"[Set("b"), Set("c"), Delete("a")]"#
        );
    }

    #[test]
    fn the_ledger_settles_what_reading_cannot_and_sees_drift_on_either_side() {
        let desired = file("user a on +@all -@dangerous +info");
        let listed = live(&["user a on resetchannels +@all -@admin -keys"]);
        let mut ledger = AclLedger::new();
        assert_eq!(diff(&desired, &listed, &ledger).len(), 1);

        ledger.record(
            "a",
            &desired.users["a"],
            words("on resetchannels +@all -@admin -keys"),
        );
        assert_eq!(diff(&desired, &listed, &ledger), []);

        let drifted = live(&["user a on resetchannels +@all -@admin"]);
        assert_eq!(diff(&desired, &drifted, &ledger).len(), 1);
        let edited = file("user a on +@all -@dangerous");
        assert_eq!(diff(&edited, &listed, &ledger).len(), 1);
    }

    #[test]
    fn debug_output_holds_no_hash() {
        let change = AclChange::Set {
            user: "a".to_owned(),
            rules: words("on #2bb80d53"),
        };
        assert_eq!(format!("{change:?}"), r#"Set("a")"#);
    }
}

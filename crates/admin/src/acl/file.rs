//! The ACL file that a node is to follow.

use std::{collections::BTreeMap, fmt};

use super::rules::Rules;

/// The rules of `default`: it cannot log in, yet the replay of an AOF, which runs as `default`, loses no transaction. Several engines
/// (Redis 7.0 and 8.0, Valkey before 8.0.11, 8.1.10 and 9.1) drop every MULTI/EXEC of the AOF when `default` is plainly off.
pub const DEFAULT_USER_RULES: &str = "off resetpass ~* &* +@all";

const DEFAULT_USER: &str = "default";

/// The users of an ACL file, `user <name> <rules…>` on each line. Passwords are SHA-256 hashes only.
#[derive(Clone, PartialEq, Eq)]
pub struct AclFile {
    pub(super) users: BTreeMap<String, Vec<String>>,
}

impl fmt::Debug for AclFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AclFile").field(&self.users.keys()).finish()
    }
}

/// An ACL file that no node is to follow. Quotes no rule, since a rule may be a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AclFileError {
    /// A line is not `user <name> <rules…>`.
    #[error("line {line} is not `user <name> <rules>`")]
    NotAUser {
        /// Counted from 1.
        line: usize,
    },
    /// A selector has no end.
    #[error("line {line}: user {user} has a selector without its closing parenthesis")]
    UnclosedSelector {
        /// Counted from 1.
        line: usize,
        /// The user.
        user: String,
    },
    /// Two lines are about the same user.
    #[error("line {line}: user {user} is there twice")]
    Duplicate {
        /// Counted from 1.
        line: usize,
        /// The user.
        user: String,
    },
    /// A password in clear.
    #[error("line {line}: user {user} has a password that is not a SHA-256 hash")]
    PlainPassword {
        /// Counted from 1.
        line: usize,
        /// The user.
        user: String,
    },
    /// `default` is missing, can log in, or may not run everything.
    #[error("user default must be `{DEFAULT_USER_RULES}`")]
    DefaultUser,
}

impl AclFileError {
    /// A stable word for conditions, Events and metrics.
    pub fn reason(&self) -> &'static str {
        "AclFileInvalid"
    }
}

impl AclFile {
    /// Reads the text of an ACL file. The engine has the last word on each rule.
    pub fn parse(text: &str) -> Result<Self, AclFileError> {
        let mut users = BTreeMap::new();
        for (line, content) in (1..).zip(text.lines()) {
            if content.trim().is_empty() {
                continue;
            }
            let (user, rules) = split_line(content).ok_or(AclFileError::NotAUser { line })?;
            let user = user.to_owned();
            let Some(rules) = rules else {
                return Err(AclFileError::UnclosedSelector { line, user });
            };
            if rules.iter().any(|rule| rule.starts_with(['>', '<'])) {
                return Err(AclFileError::PlainPassword { line, user });
            }
            if users.insert(user.clone(), rules).is_some() {
                return Err(AclFileError::Duplicate { line, user });
            }
        }
        let required: Vec<_> = DEFAULT_USER_RULES.split(' ').collect();
        match users.get(DEFAULT_USER) {
            Some(rules) if Rules::of(rules) == Rules::of(&required) => Ok(Self { users }),
            _ => Err(AclFileError::DefaultUser),
        }
    }

    /// The names of its users.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(String::as_str)
    }
}

/// The name and the rules of a `user` line, a selector being one rule; no rules when a selector has no end.
pub(super) fn split_line(line: &str) -> Option<(&str, Option<Vec<String>>)> {
    let mut words = line.split_ascii_whitespace();
    if words.next()? != "user" {
        return None;
    }
    let name = words.next()?;
    let mut rules: Vec<String> = Vec::new();
    let mut in_selector = false;
    for word in words {
        match rules.last_mut() {
            Some(selector) if in_selector => {
                selector.push(' ');
                selector.push_str(word);
            }
            _ => {
                in_selector = word.starts_with('(');
                rules.push(word.to_owned());
            }
        }
        if word.ends_with(')') {
            in_selector = false;
        }
    }
    Some((name, (!in_selector).then_some(rules)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const DEFAULT: &str = "user default off resetpass ~* &* +@all\n";

    fn error_of(lines: &str) -> AclFileError {
        AclFile::parse(&format!("{DEFAULT}{lines}")).unwrap_err()
    }

    #[test]
    fn a_selector_is_one_rule() {
        let file = AclFile::parse(&format!("{DEFAULT}\nuser a on +get (~b +set) (~c)\n")).unwrap();
        assert_eq!(file.users["a"], ["on", "+get", "(~b +set)", "(~c)"]);
    }

    #[test]
    fn a_default_user_that_could_log_in_or_lose_an_aof_is_refused() {
        for text in [
            "",
            "user default on nopass ~* &* +@all",
            "user default off",
            "user default off ~* &* +@all -@dangerous",
        ] {
            assert_eq!(
                AclFile::parse(text),
                Err(AclFileError::DefaultUser),
                "{text}"
            );
        }
    }

    #[test]
    fn bad_lines_are_named_by_number_and_quote_no_rule() {
        let user = || "a".to_owned();
        assert_eq!(error_of("usr a on"), AclFileError::NotAUser { line: 2 });
        assert_eq!(error_of("user"), AclFileError::NotAUser { line: 2 });
        assert_eq!(
            error_of("user a on (~b"),
            AclFileError::UnclosedSelector {
                line: 2,
                user: user()
            }
        );
        assert_eq!(
            error_of("user a on\nuser a off"),
            AclFileError::Duplicate {
                line: 3,
                user: user()
            }
        );
        let plain = error_of("user a on >hunter2");
        assert_eq!(
            plain,
            AclFileError::PlainPassword {
                line: 2,
                user: user()
            }
        );
        assert!(!format!("{plain} {plain:?}").contains("hunter2"));
    }
}

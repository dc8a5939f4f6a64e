//! Passwords of the bus's users: which are kept and which are new.

use std::collections::BTreeMap;
use std::fmt;

/// A password; shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// A password from its text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for a Secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The password of each user, internal ones and services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// By user name.
    pub passwords: BTreeMap<String, Password>,
}

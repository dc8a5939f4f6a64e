//! Who logs in, and with what.

use std::fmt;

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the wire alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(value.to_owned())
    }
}

/// An ACL user and its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Name of the ACL user.
    pub username: String,
    /// Its password, in clear.
    pub password: Secret,
}

impl Credentials {
    /// The credentials of `username`.
    pub fn new(username: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self {
            username: username.into(),
            password: password.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_holds_no_password() {
        let shown = format!("{:?}", Credentials::new("operator", "hunter2"));
        assert!(shown.contains("operator") && shown.contains("[redacted]"));
        assert!(!shown.contains("hunter2"));
    }
}

//! What `CONFIG GET` answers.

use std::{collections::BTreeMap, fmt};

/// Parameters whose value is a password, in every supported engine.
const SECRET_PARAMETERS: [&str; 5] = [
    "masterauth",
    "primaryauth",
    "requirepass",
    "tls-client-key-file-pass",
    "tls-key-file-pass",
];

pub(crate) fn is_secret_parameter(parameter: &str) -> bool {
    SECRET_PARAMETERS
        .iter()
        .any(|secret| parameter.eq_ignore_ascii_case(secret))
}

/// Every parameter of a running server. Passwords are in it, yet not in its `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct LiveConfig(BTreeMap<String, String>);

impl LiveConfig {
    pub(crate) fn new(parameters: BTreeMap<String, String>) -> Self {
        Self(parameters)
    }

    /// The value of `parameter`, when this engine knows it.
    pub fn get(&self, parameter: &str) -> Option<&str> {
        self.0.get(parameter).map(String::as_str)
    }

    /// Parameters and values by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for LiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(name, value)| {
                if is_secret_parameter(name) && !value.is_empty() {
                    (name, "[redacted]")
                } else {
                    (name, value)
                }
            }))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_holds_no_password() {
        let config = LiveConfig::new(BTreeMap::from([
            ("masterauth".to_owned(), "hunter2".to_owned()),
            ("maxmemory".to_owned(), "1024".to_owned()),
        ]));
        let shown = format!("{config:?}");
        assert!(
            shown.contains("1024") && !shown.contains("hunter2"),
            "{shown}"
        );
        assert_eq!(config.get("masterauth"), Some("hunter2"));
    }
}

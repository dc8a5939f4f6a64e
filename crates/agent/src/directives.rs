//! Lines of the engines' configuration files.

use std::fmt::Write as _;

/// A configuration file in the making.
#[derive(Debug, Default)]
pub(crate) struct Directives(String);

impl Directives {
    /// Begins with text that is in the right form already.
    pub(crate) fn after(text: &str) -> Self {
        let mut lines = text.trim_end().to_owned();
        lines.push('\n');
        Self(lines)
    }

    /// Adds a directive. `words` are its name as it is; each of `values` is quoted, so that none can be more than one value.
    pub(crate) fn add(&mut self, words: &str, values: &[&str]) {
        self.0.push_str(words);
        for value in values {
            self.0.push_str(" \"");
            for byte in value.bytes() {
                match byte {
                    b'"' | b'\\' => {
                        self.0.push('\\');
                        self.0.push(char::from(byte));
                    }
                    b' '..=b'~' => self.0.push(char::from(byte)),
                    other => {
                        // Writing to a String cannot fail.
                        let _ = write!(self.0, "\\x{other:02x}");
                    }
                }
            }
            self.0.push('"');
        }
        self.0.push('\n');
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_one_value() {
        let mut lines = Directives::after("port 0\n\n");
        lines.add("masterauth", &["a b\"c\\d\ne"]);
        lines.add("replicaof", &["host", "1"]);
        assert_eq!(
            lines.into_text(),
            "port 0\nmasterauth \"a b\\\"c\\\\d\\x0ae\"\nreplicaof \"host\" \"1\"\n"
        );
    }
}

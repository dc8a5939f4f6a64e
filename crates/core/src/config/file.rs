//! The text of configuration files.

use super::settings::settings;
use crate::bus::Bus;
use std::fmt::Write as _;

/// The configuration file of the data nodes, without what differs between pods and without secrets: the agent adds those.
#[must_use]
pub fn redis_conf(bus: &Bus) -> String {
    conf_text(
        settings(bus)
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    )
}

/// The text of a configuration file, one line for each directive. Every value is quoted: engines split a quoted value where a
/// directive takes several.
pub fn conf_text<'a>(directives: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    directives
        .into_iter()
        .fold(String::new(), |mut text, (name, value)| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name} {}", quoted(value));
            text
        })
}

/// A value in double quotes, with everything escaped that would end it or the line.
fn quoted(value: &str) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            other => {
                let _ = write!(text, "\\x{other:02x}");
            }
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_breaks_out_of_its_line() {
        assert_eq!(quoted("900 1"), r#""900 1""#);
        assert_eq!(quoted(""), r#""""#);
        assert_eq!(
            quoted("a\"b\\c\nport 0 é"),
            r#""a\"b\\c\x0aport 0 \xc3\xa9""#
        );
    }
}

//! Lengths of time as people write them in a manifest: `5s`, `15m`, `1h30m`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time: one or more of `<number><unit>`, units `ms`, `s`, `m`, `h`. The same form as CEL's `duration()`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Duration(
    #[schemars(regex(pattern = r"^([0-9]{1,9}(ms|s|m|h))+$"), length(max = 32))] String,
);

impl Duration {
    /// A duration of whole seconds.
    #[must_use]
    pub fn seconds(seconds: u64) -> Self {
        Self(format!("{seconds}s"))
    }

    /// A duration from its text; it is checked when it is read with [`Duration::get`].
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The length of time, or `None` where the text is none (the schema refuses such text).
    #[must_use]
    pub fn get(&self) -> Option<std::time::Duration> {
        let mut total = 0_u64;
        let mut rest = self.0.as_str();
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit())?;
            let number: u64 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let unit = rest
                .find(|c: char| c.is_ascii_digit())
                .unwrap_or(rest.len());
            let millis = match &rest[..unit] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => return None,
            };
            total = total.checked_add(number.checked_mul(millis)?)?;
            rest = &rest[unit..];
        }
        (!self.0.is_empty()).then(|| std::time::Duration::from_millis(total))
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Duration;
    use std::time::Duration as Std;

    #[test]
    fn reads_every_unit_and_sums() {
        for (text, millis) in [
            ("5s", 5_000),
            ("1h30m", 5_400_000),
            ("250ms", 250),
            ("24h", 86_400_000),
            ("0s", 0),
        ] {
            assert_eq!(
                Duration::text(text).get(),
                Some(Std::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in ["", "5", "s", "1d", "-5s", "5 s", "99999999999999999999h"] {
            assert_eq!(Duration::text(text).get(), None, "{text}");
        }
    }
}

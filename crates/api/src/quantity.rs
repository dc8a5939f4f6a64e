//! Amounts of memory and storage in Kubernetes notation: `512Mi`, `2Gi`, `2G`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An amount of bytes: a whole number with an optional Kubernetes suffix (`Ki` `Mi` `Gi` `Ti` binary, `k` `M` `G` `T` decimal).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bytes(
    #[schemars(
        regex(pattern = r"^[0-9]{1,15}(Ki|Mi|Gi|Ti|k|M|G|T)?$"),
        length(max = 20)
    )]
    String,
);

impl Bytes {
    /// An amount from its text; it is checked when it is read with [`Bytes::get`].
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The number of bytes, or `None` where the text is no amount (the schema refuses such text).
    #[must_use]
    pub fn get(&self) -> Option<u64> {
        let digits = self
            .0
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(self.0.len());
        let number: u64 = self.0[..digits].parse().ok()?;
        let unit: u64 = match &self.0[digits..] {
            "" => 1,
            "Ki" => 1 << 10,
            "Mi" => 1 << 20,
            "Gi" => 1 << 30,
            "Ti" => 1 << 40,
            "k" => 1_000,
            "M" => 1_000_000,
            "G" => 1_000_000_000,
            "T" => 1_000_000_000_000,
            _ => return None,
        };
        number.checked_mul(unit)
    }

    /// The text as written, a valid Kubernetes quantity.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn reads_binary_and_decimal_units() {
        for (text, bytes) in [
            ("2Gi", 2_147_483_648),
            ("2G", 2_000_000_000),
            ("64Mi", 67_108_864),
            ("7", 7),
        ] {
            assert_eq!(Bytes::text(text).get(), Some(bytes), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in ["", "Gi", "1.5Gi", "2gb", "-1Mi", "99999999999999Ti"] {
            assert_eq!(Bytes::text(text).get(), None, "{text}");
        }
    }
}

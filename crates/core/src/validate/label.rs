//! Keys and values of labels as Kubernetes takes them: one that it refuses would keep every object of the bus from being applied.

/// `[prefix/]name`: the prefix a DNS name, the name at most 63 of letters, digits, `-`, `_` and `.` that begins and ends with a
/// letter or digit.
pub(super) fn is_key(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    prefix.is_none_or(is_dns_name) && !name.is_empty() && is_value(name)
}

/// Empty, or what a key's name may be.
pub(super) fn is_value(value: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = value.as_bytes();
    value.is_empty()
        || (value.len() <= 63
            && end(bytes.first())
            && end(bytes.last())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte)))
}

fn is_dns_name(name: &str) -> bool {
    let end = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    name.len() <= 253
        && name.split('.').all(|label| {
            let bytes = label.as_bytes();
            label.len() <= 63
                && end(bytes.first())
                && end(bytes.last())
                && bytes
                    .iter()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::{is_key, is_value};

    #[test]
    fn keys_are_what_kubernetes_takes() {
        for key in ["team", "example.com/team", "a.b-c_d", "A1"] {
            assert!(is_key(key), "{key}");
        }
        for key in [
            "",
            "/team",
            "Example.com/team",
            "a/b/c",
            "-a",
            "a b",
            "example..com/a",
        ] {
            assert!(!is_key(key), "{key}");
        }
        assert!(is_key(&"k".repeat(63)) && !is_key(&"k".repeat(64)));
    }

    #[test]
    fn values_are_what_kubernetes_takes() {
        for value in ["", "payments", "v1.2", "A_b"] {
            assert!(is_value(value), "{value}");
        }
        for value in ["-a", "a-", "a b", "ä", "a/b"] {
            assert!(!is_value(value), "{value}");
        }
    }
}

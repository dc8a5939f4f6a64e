//! The ACL file: one `user …` line for each user.

use crate::credentials::hex_sha256;
use std::collections::BTreeMap;

/// Lower-case hex SHA-256 of an ACL file's text, by which operator and agents tell whether they mean the same.
#[must_use]
pub fn digest(text: &str) -> String {
    hex_sha256(text)
}

/// The password hash of each user in the text of an ACL file; lines that hold none are passed over.
#[must_use]
pub fn hashes(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let user = (words.next()? == "user").then(|| words.next())??;
            let hash = words.find_map(|word| word.strip_prefix('#'))?;
            Some((user.to_owned(), hash.to_owned()))
        })
        .collect()
}

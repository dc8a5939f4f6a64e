//! Passwords of the bus's users: which are kept and which are new.
//!
//! Each password lies in more than one Secret, and the ACL Secret holds its hash, so that any one of them may be lost or
//! edited by hand and comes back as it was.

use crate::bus::Bus;
use crate::names::Component;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;

/// The user by which agents act on the servers, on data nodes and on Sentinels.
pub const OPERATOR: &str = "operator";
/// The user by which replicas follow the primary (`masteruser`).
pub const REPLICATION: &str = "replication";
/// The user by which Sentinels act on data nodes (`auth-user`) and on one another (`sentinel-user`).
pub const SENTINEL: &str = "sentinel";
/// The user that may only look whether a server answers.
pub const PROBE: &str = "probe";

/// Users of the bus itself; no service may have such a name.
pub const INTERNAL_USERS: [&str; 4] = [OPERATOR, REPLICATION, SENTINEL, PROBE];

/// Least number of characters of a password.
pub const MIN_PASSWORD_LENGTH: usize = 32;
/// Most characters of a password; the engines' ACL lines and the clients' URLs take it without trouble.
pub const MAX_PASSWORD_LENGTH: usize = 128;

/// The internal users whose passwords the pods of a component mount, one file for each.
#[must_use]
pub fn mounted(component: Component) -> &'static [&'static str] {
    match component {
        Component::Redis => &[OPERATOR, REPLICATION, PROBE],
        Component::Sentinel => &[OPERATOR, SENTINEL],
    }
}

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

    /// Lower-case hex SHA-256 of the text, as ACL files hold it.
    #[must_use]
    pub fn sha256(&self) -> String {
        hex_sha256(&self.0)
    }

    /// Whether the text is one that the operator could have made: ASCII letters and digits, of the right length. Anything
    /// else came from another hand and is not taken for a password.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        (MIN_PASSWORD_LENGTH..=MAX_PASSWORD_LENGTH).contains(&self.0.len())
            && self.0.bytes().all(|byte| byte.is_ascii_alphanumeric())
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

/// What the bus's Secrets hold of passwords. A Secret that does not exist is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredSecrets {
    /// The credentials Secret: user to password.
    pub credentials: Option<BTreeMap<String, Password>>,
    /// The Secret that data pods mount: user to password.
    pub redis_auth: Option<BTreeMap<String, Password>>,
    /// The Secret that Sentinel pods mount: user to password.
    pub sentinel_auth: Option<BTreeMap<String, Password>>,
    /// The password in each service's Secret, by service.
    pub bindings: BTreeMap<String, Password>,
    /// The hash of each user in the ACL Secret, lower-case hex SHA-256; see [`crate::acl::hashes`].
    pub hashes: BTreeMap<String, String>,
}

impl StoredSecrets {
    /// The password that a user has had. The copy that fits the known hash is the true one; where none does, the most
    /// trusted copy counts.
    fn password(&self, user: &str) -> Option<&Password> {
        let copies: Vec<&Password> = [&self.credentials, &self.redis_auth, &self.sentinel_auth]
            .into_iter()
            .filter_map(Option::as_ref)
            .chain([&self.bindings])
            .filter_map(|secret| secret.get(user))
            .filter(|password| password.is_well_formed())
            .collect();
        let hash = self.hashes.get(user);
        copies
            .iter()
            .find(|copy| hash.is_some_and(|hash| copy.sha256() == *hash))
            .or_else(|| copies.first())
            .copied()
    }
}

/// The password of each user that the bus shall have: the one it has had, or a new one from `fresh`, which must be
/// [well formed](Password::is_well_formed).
pub fn settle(
    bus: &Bus,
    stored: &StoredSecrets,
    fresh: &mut dyn FnMut() -> Password,
) -> Credentials {
    let services = bus
        .spec
        .services
        .iter()
        .map(|service| service.name.as_str());
    Credentials {
        passwords: INTERNAL_USERS
            .into_iter()
            .chain(services)
            .map(|user| {
                let password = stored.password(user).cloned().unwrap_or_else(&mut *fresh);
                (user.to_owned(), password)
            })
            .collect(),
    }
}

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A new password: letters and digits, each equally likely where the bytes of `fill` are. Its error is `fill`'s.
pub fn draw<E>(fill: &mut dyn FnMut(&mut [u8]) -> Result<(), E>) -> Result<Password, E> {
    // Bytes beyond the largest multiple of 62 would prefer the first letters.
    const FAIR: u8 = 248;
    let mut text = String::with_capacity(MIN_PASSWORD_LENGTH);
    let mut bytes = [0_u8; 64];
    while text.len() < MIN_PASSWORD_LENGTH {
        fill(&mut bytes)?;
        let letters = bytes
            .iter()
            .filter(|byte| **byte < FAIR)
            .map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        text.extend(letters.take(MIN_PASSWORD_LENGTH - text.len()));
    }
    Ok(Password::new(text))
}

/// Lower-case hex SHA-256 of a text.
pub(crate) fn hex_sha256(content: impl AsRef<[u8]>) -> String {
    use fmt::Write as _;
    Sha256::digest(content)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

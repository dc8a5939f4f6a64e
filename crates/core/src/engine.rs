//! What each supported engine and version can do.

use cachebus_api::engine::EngineKind::{self, Redis, Valkey};

/// What an engine of one version can do.
// A table of what there is and is not.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Family.
    pub kind: EngineKind,
    /// `<major>.<minor>`.
    pub version: &'static str,
    /// `CLIENT SETINFO` exists. A rule that names a subcommand which the engine lacks breaks the whole user.
    pub client_setinfo: bool,
    /// `WAITAOF` exists.
    pub waitaof: bool,
    /// `io-threads` can be set live.
    pub io_threads_live: bool,
    /// First patch with every critical security fix known to this project; `None`: no release of this line has them.
    pub secure_patch: Option<u32>,
}

impl Capabilities {
    /// Whether a release of this line, `8.2.9`, has every critical security fix known to this project. A version that
    /// cannot be read has none.
    #[must_use]
    pub fn is_secure(&self, full_version: &str) -> bool {
        let patch = full_version
            .strip_prefix(self.version)
            .and_then(|rest| rest.strip_prefix('.'))
            .and_then(|patch| patch.parse::<u32>().ok());
        matches!((patch, self.secure_patch), (Some(patch), Some(first)) if patch >= first)
    }
}

/// What the oldest supported engine can do; the table below says what each newer one adds.
const REDIS_7_0: Capabilities = Capabilities {
    kind: Redis,
    version: "7.0",
    client_setinfo: false,
    waitaof: false,
    io_threads_live: false,
    secure_patch: None,
};

const REDIS_7_2: Capabilities = Capabilities {
    version: "7.2",
    client_setinfo: true,
    waitaof: true,
    secure_patch: Some(16),
    ..REDIS_7_0
};

const REDIS_7_4: Capabilities = Capabilities {
    version: "7.4",
    secure_patch: Some(11),
    ..REDIS_7_2
};

const VALKEY_8_0: Capabilities = Capabilities {
    kind: Valkey,
    version: "8.0",
    secure_patch: Some(10),
    ..REDIS_7_4
};

const VALKEY_9_0: Capabilities = Capabilities {
    version: "9.0",
    secure_patch: Some(5),
    ..VALKEY_8_0
};

/// Every supported engine, older before newer within a family. Sources of `secure_patch`: CVE-2025-49844 (both), CVE-2026-81934 (Redis), CVE-2026-56684 (Valkey).
pub const SUPPORTED: &[Capabilities] = &[
    REDIS_7_0,
    REDIS_7_2,
    REDIS_7_4,
    Capabilities {
        version: "8.0",
        secure_patch: None,
        ..REDIS_7_4
    },
    Capabilities {
        version: "8.2",
        secure_patch: Some(9),
        ..REDIS_7_4
    },
    VALKEY_8_0,
    Capabilities {
        version: "8.1",
        secure_patch: Some(9),
        ..VALKEY_8_0
    },
    VALKEY_9_0,
    Capabilities {
        version: "9.1",
        io_threads_live: true,
        secure_patch: Some(1),
        ..VALKEY_9_0
    },
];

/// What the engine of this kind and version, `<major>.<minor>`, can do; `None`: it is not supported.
#[must_use]
pub fn capabilities(kind: EngineKind, version: &str) -> Option<&'static Capabilities> {
    SUPPORTED
        .iter()
        .find(|engine| engine.kind == kind && engine.version == version)
}

/// The line of a release: `8.0` of `8.0.6`.
#[must_use]
pub fn line(full_version: &str) -> &str {
    let mut dots = full_version.match_indices('.').map(|(at, _)| at);
    dots.nth(1).map_or(full_version, |end| &full_version[..end])
}

/// What the engine of a release, `8.0.6`, can do; `None`: it is not supported.
#[must_use]
pub fn of_release(kind: EngineKind, full_version: &str) -> Option<&'static Capabilities> {
    capabilities(kind, line(full_version))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn finds_each_supported_engine_and_no_other() {
        for engine in SUPPORTED {
            assert_eq!(capabilities(engine.kind, engine.version), Some(engine));
        }
        assert_eq!(SUPPORTED.len(), 9);
        assert_eq!(capabilities(Redis, "9.1"), None);
        assert_eq!(capabilities(Redis, "8.0.6"), None);
    }

    #[test]
    fn a_release_is_of_its_line() {
        assert_eq!(of_release(Redis, "8.0.6"), capabilities(Redis, "8.0"));
        assert_eq!(of_release(Redis, "8.0"), capabilities(Redis, "8.0"));
        assert_eq!(of_release(Redis, "8.01.6"), None);
        assert_eq!(of_release(Redis, "unknown"), None);
    }

    #[test]
    fn older_engines_come_before_newer_ones_of_their_family() {
        let number = |engine: &Capabilities| -> Vec<u32> {
            let parts = engine.version.split('.');
            parts.map(|part| part.parse().unwrap()).collect()
        };
        assert!(SUPPORTED.is_sorted_by_key(|engine| (engine.kind, number(engine))));
    }

    #[test]
    fn a_patch_counts_only_within_its_own_line() {
        let redis = capabilities(Redis, "8.2").unwrap();
        for (version, secure) in [
            ("8.2.9", true),
            ("8.2.10", true),
            ("8.2.8", false),
            ("8.20.9", false),
            ("8.2", false),
            ("unknown", false),
        ] {
            assert_eq!(redis.is_secure(version), secure, "{version}");
        }
        assert!(!capabilities(Redis, "7.0").unwrap().is_secure("7.0.15"));
    }
}

//! What is known of each directive: its values, whether it can be set live, and from which version it exists.

mod table;

use super::value::Value;
use crate::engine::Capabilities;
use cachebus_api::engine::EngineKind;
use table::{OWN, RAW};

/// A directive of the data nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directive {
    pub name: &'static str,
    pub value: Value,
    live: bool,
    redis: Since,
    valkey: Since,
}

/// First version that knows a directive.
#[derive(Clone, Copy, Debug)]
enum Since {
    /// Every supported one.
    Always,
    /// This one, major and minor.
    Version(u8, u8),
    /// None.
    Never,
}

impl Directive {
    const fn new(name: &'static str, value: Value) -> Self {
        Self {
            name,
            value,
            live: true,
            redis: Since::Always,
            valkey: Since::Always,
        }
    }

    /// It takes effect at a restart only.
    const fn restart(self) -> Self {
        Self {
            live: false,
            ..self
        }
    }

    const fn since(self, redis: Since, valkey: Since) -> Self {
        Self {
            redis,
            valkey,
            ..self
        }
    }

    /// Whether this engine knows it.
    pub(super) fn exists_in(&self, engine: &Capabilities) -> bool {
        let since = match engine.kind {
            EngineKind::Redis => self.redis,
            EngineKind::Valkey => self.valkey,
        };
        match since {
            Since::Always => true,
            Since::Never => false,
            Since::Version(major, minor) => {
                let version = engine.version.split_once('.');
                version
                    .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
                    .is_some_and(|version: (u8, u8)| version >= (major, minor))
            }
        }
    }
}

/// Every directive that `spec.config` may set.
pub(super) fn all_raw() -> &'static [Directive] {
    RAW
}

/// A directive that `spec.config` may set, by its lower-case name.
pub(super) fn raw(name: &str) -> Option<&'static Directive> {
    RAW.iter().find(|directive| directive.name == name)
}

fn known(name: &str) -> Option<&'static Directive> {
    OWN.iter()
        .find(|own| own.name == name)
        .or_else(|| raw(name))
}

/// Whether `CONFIG SET` can change the directive on a running engine. One that is not known cannot be changed.
#[must_use]
pub fn is_live(directive: &str, engine: &Capabilities) -> bool {
    match directive {
        "io-threads" => engine.io_threads_live,
        other => known(other).is_some_and(|directive| directive.live),
    }
}

/// Whether a desired value and one that `CONFIG GET` printed mean the same.
#[must_use]
pub fn same(directive: &str, desired: &str, live: &str) -> bool {
    normal(directive, desired) == normal(directive, live)
}

/// A value as `CONFIG GET` prints it; a text that is no value of the directive stays as it is.
pub(super) fn normal(directive: &str, value: &str) -> String {
    known(directive)
        .and_then(|directive| directive.value.normal(value))
        .unwrap_or_else(|| value.to_owned())
}

//! What `spec.config` may say.

use super::directive::{self, is_live};
use super::refused::refused;
use crate::engine::{Capabilities, SUPPORTED};

/// Why an entry of `spec.config` cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Stable, one word: `DirectiveRefused`, `DirectiveUnknown` or `DirectiveInvalid`.
    pub reason: &'static str,
    /// For people: what is wrong and what would be right.
    pub message: String,
}

/// A directive that `spec.config` may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its name.
    pub directive: &'static str,
    /// For people: what it takes.
    pub takes: String,
    /// The engines that know it, and whether each takes it without a restart.
    pub engines: Vec<(&'static Capabilities, bool)>,
}

/// What speaks against an entry of `spec.config`. A server does not start with a directive that it does not know or a
/// value that it does not take, so all of them are caught here.
#[must_use]
pub fn objection(name: &str, value: &str, engine: &Capabilities) -> Option<Objection> {
    let (reason, message) = if let Some(refused) = refused(name) {
        let message = format!("{name} cannot be set here: {}", refused.why);
        ("DirectiveRefused", message)
    } else if let Some(directive) = directive::raw(&name.to_ascii_lowercase()) {
        if !directive.exists_in(engine) {
            let message = format!(
                "{:?} {} has no directive {name}",
                engine.kind, engine.version
            );
            ("DirectiveUnknown", message)
        } else if directive.value.normal(value).is_none() {
            let message = format!("{name} takes {}", directive.value.expected());
            ("DirectiveInvalid", message)
        } else {
            return None;
        }
    } else {
        let message = format!("{name} is no directive that can be set here");
        ("DirectiveUnknown", message)
    };
    Some(Objection { reason, message })
}

/// Every directive that `spec.config` may set, by name.
#[must_use]
pub fn accepted() -> Vec<Accepted> {
    directive::all_raw()
        .iter()
        .map(|directive| Accepted {
            directive: directive.name,
            takes: directive.value.expected(),
            engines: SUPPORTED
                .iter()
                .filter(|engine| directive.exists_in(engine))
                .map(|engine| (engine, is_live(directive.name, engine)))
                .collect(),
        })
        .collect()
}

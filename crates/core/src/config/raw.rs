//! What `spec.config` may say.

use super::directive;
use super::refused::refused;
use crate::engine::Capabilities;

/// Why an entry of `spec.config` cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Stable, one word: `DirectiveRefused`, `DirectiveUnknown` or `DirectiveInvalid`.
    pub reason: &'static str,
    /// For people: what is wrong and what would be right.
    pub message: String,
}

/// What speaks against an entry of `spec.config`. A server does not start with a directive that it does not know or a
/// value that it does not take, so all of them are caught here.
#[must_use]
pub fn objection(name: &str, value: &str, engine: &Capabilities) -> Option<Objection> {
    if let Some(refused) = refused(name) {
        return Some(Objection {
            reason: "DirectiveRefused",
            message: format!("{name} cannot be set here: {}", refused.why),
        });
    }
    let Some(directive) = directive::raw(&name.to_ascii_lowercase()) else {
        return Some(Objection {
            reason: "DirectiveUnknown",
            message: format!("{name} is no directive that can be set here"),
        });
    };
    if !directive.exists_in(engine) {
        return Some(Objection {
            reason: "DirectiveUnknown",
            message: format!(
                "{:?} {} has no directive {name}",
                engine.kind, engine.version
            ),
        });
    }
    let expected = directive.value.normal(value).err()?;
    Some(Objection {
        reason: "DirectiveInvalid",
        message: format!("{name} must be {expected}"),
    })
}

//! The function library of the primary.

use super::condition::{Finding, kind};
use crate::plan::view::View;
use crate::protocol::Phase;

/// Whether the primary serves the library, as soon as its agent has looked. Until then, and with an agent that is too old to
/// look, there is nothing to say.
pub fn loaded(view: &View<'_>) -> Option<Finding> {
    let (pod, data) = view.reports().find(|(pod, data)| {
        view.topology.primary.as_deref() == Some(*pod) && data.phase == Phase::Leading
    })?;
    let library = data.library.as_ref()?;
    if let Some(refused) = &library.refused {
        let message = format!(
            "{pod} does not take the function library: {}",
            refused.message
        );
        return Some(Finding::bad(
            kind::FUNCTIONS_LOADED,
            &refused.reason,
            message,
        ));
    }
    let version = library.version.as_ref()?;
    let message = format!("the primary serves version {version} of the function library");
    Some(Finding::good(kind::FUNCTIONS_LOADED, "Loaded", message))
}

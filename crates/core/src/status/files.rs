//! Files that a server could not read.

use super::condition::{Finding, kind};
use crate::plan::view::View;

/// On which volumes files lie that were set aside, where there are any: a person may want to know what spoilt them, and takes them
/// away.
pub fn readable(view: &View<'_>) -> Option<Finding> {
    let pods: Vec<&str> = view
        .reports()
        .filter(|(_, data)| data.set_aside)
        .map(|(pod, _)| pod)
        .collect();
    (!pods.is_empty()).then(|| {
        let message = format!(
            "the server could not read its files, which are in /data/spoilt, and began empty as a replica: {}",
            pods.join(", ")
        );
        Finding::bad(kind::FILES_READABLE, "FilesSetAside", message)
    })
}

//! Containers that were ended for want of memory.

use super::condition::{Finding, kind};
use crate::plan::view::View;

/// For how long it is told.
const LATELY_MS: u64 = 60 * 60 * 1_000;

/// Which pods were ended for want of memory within the last hour, where any was. The kernel ends all of a container at once: no
/// agent is left to hand the lead over, or to say so.
pub fn sufficient(view: &View<'_>) -> Option<Finding> {
    let observed = view.observed;
    let nodes = observed.data.iter().chain(&observed.sentinels);
    let ended: Vec<&str> = nodes
        .filter(|(_, node)| {
            let pod = node.pod.as_ref();
            pod.and_then(|pod| pod.out_of_memory_ms)
                .is_some_and(|at| observed.now_ms.saturating_sub(at) < LATELY_MS)
        })
        .map(|(pod, _)| pod.as_str())
        .collect();
    (!ended.is_empty()).then(|| {
        let message = format!(
            "ended within the last hour, since it took more memory than its container's limit: {}",
            ended.join(", ")
        );
        Finding::bad(kind::MEMORY_SUFFICIENT, "OutOfMemory", message)
    })
}

//! Why a pod does not run, where kubelet or the scheduler say so.

use crate::partial::{ContainerStatus, PodStatus};

/// Reasons of a container that will start by itself in a moment.
const STARTING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// Kubelet's word for it.
const OUT_OF_MEMORY: &str = "OOMKilled";

/// Why a pod does not run, for people.
pub fn trouble(status: &PodStatus) -> Option<String> {
    unscheduled(status).or_else(|| {
        let mut containers = status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses);
        containers.find_map(container)
    })
}

/// When the kernel last ended a container for more memory than its limit, milliseconds since 1970.
pub fn out_of_memory_ms(status: &PodStatus) -> Option<u64> {
    status
        .container_statuses
        .iter()
        .flat_map(|container| [&container.state, &container.last_state])
        .filter_map(|state| state.terminated.as_ref())
        .filter(|ended| ended.reason.as_deref() == Some(OUT_OF_MEMORY))
        .filter_map(|ended| ended.finished_at.as_ref())
        .filter_map(|at| u64::try_from(at.0.as_millisecond()).ok())
        .max()
}

fn unscheduled(status: &PodStatus) -> Option<String> {
    let condition = status
        .conditions
        .iter()
        .find(|condition| &*condition.type_ == "PodScheduled" && &*condition.status == "False")?;
    Some(said(
        condition.reason.as_deref().unwrap_or("Unschedulable"),
        condition.message.as_deref(),
    ))
}

fn container(container: &ContainerStatus) -> Option<String> {
    let state = &container.state;
    let text = if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref()?;
        if STARTING.contains(&reason) {
            return None;
        }
        said(reason, waiting.message.as_deref())
    } else {
        let ended = state
            .terminated
            .as_ref()
            .filter(|ended| ended.exit_code != 0)?;
        format!(
            "{} with exit code {}",
            ended.reason.as_deref().unwrap_or("ended"),
            ended.exit_code
        )
    };
    Some(format!("container {}: {text}", container.name))
}

fn said(reason: &str, message: Option<&str>) -> String {
    match message {
        Some(message) if !message.is_empty() => format!("{reason}: {message}"),
        _ => reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{out_of_memory_ms, trouble};
    use serde_json::{Value, json};

    fn of(status: Value) -> Option<String> {
        trouble(&serde_json::from_value(status).unwrap())
    }

    #[test]
    fn a_pod_that_starts_is_in_no_trouble() {
        let waiting = json!({"name": "redis", "state": {"waiting": {"reason": "PodInitializing"}}});
        assert_eq!(of(json!({"containerStatuses": [waiting]})), None);
        let ended = json!({"name": "install", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
        assert_eq!(of(json!({"initContainerStatuses": [ended]})), None);
    }

    #[test]
    fn a_container_that_the_kernel_ended_is_known_also_when_it_runs_again() {
        let at = |state: Value, last_state: Value| {
            let container = json!({"name": "redis", "state": state, "lastState": last_state});
            let status = json!({"containerStatuses": [container]});
            out_of_memory_ms(&serde_json::from_value(status).unwrap())
        };
        let ended = |reason: &str, second: u32| {
            let at = format!("1970-01-01T00:00:{second:02}Z");
            json!({"terminated": {"exitCode": 137, "reason": reason, "finishedAt": at}})
        };
        let runs = json!({"running": {"startedAt": "1970-01-01T00:00:09Z"}});
        assert_eq!(at(runs.clone(), ended("OOMKilled", 7)), Some(7_000));
        assert_eq!(
            at(ended("OOMKilled", 8), ended("OOMKilled", 7)),
            Some(8_000)
        );
        assert_eq!(at(ended("Error", 8), json!({})), None);
        assert_eq!(at(runs, json!({})), None);
    }

    #[test]
    fn what_kubelet_and_the_scheduler_say_is_passed_on() {
        let condition = json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"});
        assert_eq!(
            of(json!({"conditions": [condition]})).unwrap(),
            "Unschedulable: 0/3 nodes"
        );
        let waiting = json!({"name": "redis", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}});
        assert_eq!(
            of(json!({"containerStatuses": [waiting]})).unwrap(),
            "container redis: ErrImagePull: no such image"
        );
        let ended =
            json!({"name": "install", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}});
        assert_eq!(
            of(json!({"initContainerStatuses": [ended]})).unwrap(),
            "container install: Error with exit code 1"
        );
    }
}

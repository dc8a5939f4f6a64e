//! Watching the bus become ready.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::lab::{Lab, until};
use crate::progress::note;

use super::{BUS, NAMESPACE, tour};

/// How long a bus may take here; it is a matter of seconds.
const LIMIT: Duration = Duration::from_mins(3);

/// Prints each change of the bus's state with the seconds since it was applied, until it is ready.
pub(super) fn watch(lab: &Lab, applied: Instant) -> anyhow::Result<()> {
    note(format_args!(
        "== the bus {BUS} in the namespace {NAMESPACE}"
    ));
    let mut shown = String::new();
    let ready = until(LIMIT, || {
        let Ok(bus) = bus(lab) else {
            return false;
        };
        let state = state(&bus);
        if state != shown {
            note(format_args!(
                "   {:5.1} s  {state}",
                applied.elapsed().as_secs_f64()
            ));
            shown = state;
        }
        is_ready(&bus)
    });
    if ready {
        return Ok(());
    }
    tour::print_trouble(lab);
    bail!("the bus is not ready after {} s", LIMIT.as_secs())
}

/// The bus as the API server has it.
pub(super) fn bus(lab: &Lab) -> anyhow::Result<Value> {
    let json = lab
        .kubectl()
        .args([
            "--namespace",
            NAMESPACE,
            "get",
            "cachebus",
            BUS,
            "--output=json",
        ])
        .output()?;
    serde_json::from_str(&json).context("kubectl printed what is not JSON")
}

/// Whether the bus is ready as it was last applied, not as it was before.
fn is_ready(bus: &Value) -> bool {
    condition(bus, "Ready").is_some_and(|ready| {
        ready["status"] == "True" && ready["observedGeneration"] == bus["metadata"]["generation"]
    })
}

fn state(bus: &Value) -> String {
    let status = &bus["status"];
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let ready = condition(bus, "Ready").map_or_else(
        || "not seen by the operator yet".to_owned(),
        |ready| match ready["status"].as_str() {
            Some("True") => "ready".to_owned(),
            _ => format!("not ready: {}", text(&ready["reason"])),
        },
    );
    format!(
        "primary {}, replicas {}, sentinels {}, {ready}",
        text(&status["topology"]["primary"]),
        text(&status["replicas"]["summary"]),
        text(&status["sentinels"]["summary"]),
    )
}

fn condition<'a>(bus: &'a Value, kind: &str) -> Option<&'a Value> {
    bus["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bus(observed: u64, status: &str) -> Value {
        serde_json::json!({
            "metadata": {"generation": 2},
            "status": {
                "topology": {"primary": "platform-redis-0"},
                "replicas": {"summary": "1/2"},
                "conditions": [
                    {"type": "Ready", "status": status, "reason": "ReplicasMissing", "observedGeneration": observed},
                ],
            },
        })
    }

    #[test]
    fn an_older_generation_does_not_count_as_ready() {
        assert!(is_ready(&bus(2, "True")));
        assert!(!is_ready(&bus(1, "True")));
        assert!(!is_ready(&bus(2, "False")));
        assert!(!is_ready(&Value::Null));
    }

    #[test]
    fn the_state_is_one_line() {
        assert_eq!(
            state(&bus(2, "False")),
            "primary platform-redis-0, replicas 1/2, sentinels -, not ready: ReplicasMissing"
        );
    }
}

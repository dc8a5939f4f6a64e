//! What is wrong with each pod of a bus.

use super::blocked::reason;
use super::sentinels::unknown;
use super::users::differs;
use super::view::View;
use super::{Desired, ghosts};
use crate::acl::digest;
use crate::config::{agent_json, drift};
use crate::observed::Node;
use crate::protocol::{DataStatus, Phase, SentinelStatus};
use std::collections::BTreeMap;

/// What is wrong with each pod that should exist, where anything is.
pub fn flaws<'a>(view: &'a View<'a>, desired: &Desired) -> BTreeMap<&'a str, String> {
    let users_of_data = digest(&desired.acl.redis);
    let users_of_sentinels = digest(&desired.acl.sentinel);
    let data = view.nodes.iter().map(|pod| {
        let node = view.observed.data.get(pod);
        let flaw = common(view, node, &users_of_data).or_else(|| data_node(view, pod));
        (pod, flaw)
    });
    let sentinels = view.sentinels.iter().map(|pod| {
        let node = view.observed.sentinels.get(pod);
        let flaw = common(view, node, &users_of_sentinels).or_else(|| match view.sentinel(pod) {
            Some(status) => sentinel(view, pod, status).map(|(_, flaw)| flaw),
            None => Some("does not answer".to_owned()),
        });
        (pod, flaw)
    });
    data.chain(sentinels)
        .filter_map(|(pod, flaw)| Some((pod.as_str(), flaw?)))
        .collect()
}

/// What may be wrong with any pod. `users`: digest of those that it is to have.
fn common(view: &View<'_>, node: Option<&Node>, users: &str) -> Option<String> {
    let Some((node, pod)) = node.and_then(|node| Some((node, node.pod.as_ref()?))) else {
        return Some("does not exist".to_owned());
    };
    if pod.terminating {
        return Some("is being deleted".to_owned());
    }
    if let Some(trouble) = pod.trouble.as_ref().filter(|_| !pod.ready) {
        return Some(format!("is not ready: {trouble}"));
    }
    if !pod.ready {
        return Some("is not ready".to_owned());
    }
    if !view.is_ours(node) {
        return Some("does not answer".to_owned());
    }
    differs(node, users).then(|| "has other users".to_owned())
}

/// What may be wrong with a data pod that answers.
fn data_node(view: &View<'_>, pod: &str) -> Option<String> {
    let primary = leading(view);
    if primary.is_none_or(|(primary, _)| primary != pod)
        && let Some(flaw) = replica(view, pod, primary)
    {
        return Some(flaw.to_owned());
    }
    let live = drift(view.bus, &view.data(pod)?.config, view.memory_limit(pod)).live;
    (!live.is_empty()).then(|| "has other settings".to_owned())
}

/// The recorded primary, where it leads and no change is under way.
pub fn leading<'a>(view: &'a View<'_>) -> Option<(&'a str, &'a DataStatus)> {
    view.leader().filter(|_| view.topology.target.is_none())
}

/// What is wrong with a replica of this primary; `None`: it is in sync.
pub fn replica(
    view: &View<'_>,
    pod: &str,
    primary: Option<(&str, &DataStatus)>,
) -> Option<&'static str> {
    let Some(data) = view.data(pod) else {
        return Some("does not answer");
    };
    let Some((primary, feeding)) = primary else {
        return Some("has no primary to follow");
    };
    let names = &view.bus.names;
    match &data.phase {
        Phase::Down => Some("does not run"),
        Phase::Holding | Phase::Sealed => Some("waits to be told whom to follow"),
        Phase::Loading => Some("reads its files"),
        Phase::Leading => Some("leads still, or already"),
        Phase::Unknown => Some("is where this operator has no word for"),
        Phase::Following(host) if names.data_pod_of_host(host).as_deref() != Some(primary) => {
            Some("follows another")
        }
        Phase::Following(_) => match &data.replication {
            Some(own) if own.link_up && !own.syncing => {
                let silent = feeding.replication.as_ref().is_some_and(|fed| {
                    fed.replicas.iter().any(|replica| {
                        names.data_pod_of_host(&replica.host).as_deref() == Some(pod)
                            && !(replica.online && in_time(view, replica.lag))
                    })
                });
                silent.then_some("does not acknowledge what the primary sends")
            }
            _ => Some("is not in sync"),
        },
    }
}

/// What is wrong with a Sentinel that answers: in one word, and for people.
pub fn sentinel(
    view: &View<'_>,
    pod: &str,
    status: &SentinelStatus,
) -> Option<(&'static str, String)> {
    let config = agent_json(view.bus);
    match (&status.monitored, &view.topology.primary) {
        (_, None) => Some(("NoPrimary", "waits for a primary".to_owned())),
        (None, Some(primary)) => Some((
            "NotMonitoring",
            format!("does not know that {primary} is the primary"),
        )),
        (Some(monitored), Some(primary)) => {
            let named = view.bus.names.data_pod_of_host(&monitored.host);
            let strangers = unknown(view, primary, pod, monitored);
            if named.as_deref() != Some(primary) {
                Some(("SentinelDisagrees", format!("names {}", monitored.host)))
            } else if monitored.down || monitored.failing_over {
                Some((
                    "SentinelSeesPrimaryDown",
                    format!("holds {primary} for down"),
                ))
            } else if monitored.quorum != view.quorum() || monitored.settings != config.monitor {
                Some(("SettingsDiffer", "goes by other settings".to_owned()))
            } else if !strangers.is_empty() {
                Some((
                    "SentinelUnacquainted",
                    format!("has not found {}", strangers.join(", ")),
                ))
            } else {
                let ghosts = ghosts::of(view, monitored).count();
                let what = format!("counts {ghosts} that are gone, which makes failovers harder");
                (ghosts > 0).then_some((reason::GHOSTS_KNOWN, what))
            }
        }
    }
}

/// Whether a replica acknowledges soon enough to count for `min-replicas-to-write`. `lag`: seconds.
pub fn in_time(view: &View<'_>, lag: u64) -> bool {
    let most = view.bus.spec.replication.max_lag.get();
    most.is_none_or(|most| lag <= most.as_secs())
}

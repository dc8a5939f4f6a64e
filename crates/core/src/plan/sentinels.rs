//! What the Sentinels are told. Who is primary they are told once; from then on they tell us.

use super::blocked::{Blocked, reason};
use super::orders::{contradicted, linked};
use super::view::View;
use super::{Action, Plan, ghosts};
use crate::config::agent_json;
use crate::protocol::{AgentConfig, MonitorOrder, Monitored, Peer, Phase, SentinelStatus};
use std::collections::BTreeSet;

/// A Sentinel finds replicas each ten seconds, the first time at once: it is worth waiting so long, and no longer, for
/// replicas to be linked before it looks.
const REPLICAS_MS: u64 = 10_000;

/// Tells each Sentinel what it does not know, once the recorded primary leads.
pub fn tell(view: &View<'_>, plan: &mut Plan) {
    let topology = &view.topology;
    let (Some(primary), None) = (&topology.primary, &topology.target) else {
        return;
    };
    if !view.leads(primary) {
        return;
    }
    let config = agent_json(view.bus);
    let mistaken = contradicted(view, primary);
    let tied = tied(view);
    let outlived = outlived(view, primary);
    let failing_over = view.failing_over();
    for pod in view.told() {
        if let Some(sentinel) = view.sentinel(pod) {
            let told = Told {
                view,
                config: &config,
                primary,
                mistaken: mistaken.as_deref(),
                tied,
                outlived,
                failing_over,
                pod,
            };
            told.judge(sentinel, plan);
        } else if view
            .observed
            .sentinels
            .get(pod)
            .is_some_and(|node| view.is_ours(node))
        {
            plan.wait(Blocked::new(
                reason::SENTINEL_STARTING,
                format!("the Sentinel of {pod} does not answer yet"),
            ));
        }
    }
    ghosts::lay(view, plan);
}

/// What a Sentinel is told that names the primary already. `forget`: identities that it is to count no more.
pub fn order(view: &View<'_>, primary: &str, forget: Vec<String>) -> MonitorOrder {
    let config = agent_json(view.bus);
    MonitorOrder {
        uid: view.bus.uid.clone(),
        primary: primary.to_owned(),
        config_epoch: 0,
        instead_of: None,
        quorum: view.quorum(),
        settings: config.monitor,
        peers: Vec::new(),
        forget,
    }
}

/// One Sentinel and what it is measured against.
struct Told<'a> {
    view: &'a View<'a>,
    config: &'a AgentConfig,
    primary: &'a str,
    /// Whom they name by mistake.
    mistaken: Option<&'a str>,
    tied: Option<u64>,
    /// Most Sentinels have forgotten the bus, and another names another pod.
    outlived: bool,
    /// Some Sentinel carries a failover out.
    failing_over: bool,
    pod: &'a str,
}

impl Told<'_> {
    fn judge(&self, sentinel: &SentinelStatus, plan: &mut Plan) {
        let Some(monitored) = &sentinel.monitored else {
            if self.comes_early() {
                plan.wait(Blocked::new(
                    reason::SCALING_SENTINELS,
                    format!(
                        "{} joins when the others ask for {} votes",
                        self.pod,
                        self.view.quorum()
                    ),
                ));
            } else if self.outlived {
                plan.wait(Blocked::new(
                    reason::SENTINEL_DISAGREES,
                    format!(
                        "{} is told when no other Sentinel names another pod than {}",
                        self.pod, self.primary
                    ),
                ));
            } else if self.in_good_time() {
                plan.act(self.order(None));
            } else {
                plan.wait(Blocked::new(
                    reason::WAITING_FOR_REPLICAS,
                    format!(
                        "{} is told of {} when its replicas are linked",
                        self.pod, self.primary
                    ),
                ));
            }
            return;
        };
        let named = self.view.bus.names.data_pod_of_host(&monitored.host);
        if named.as_deref() != Some(self.primary) {
            let stays = named.is_some()
                && (named.as_deref() == self.mistaken
                    || self.tied == Some(monitored.config_epoch)
                    || self.outlived);
            if stays && !self.failing_over {
                plan.act(self.order(named));
            } else {
                plan.wait(Blocked::new(
                    reason::SENTINEL_DISAGREES,
                    format!(
                        "{} names {}, not {}",
                        self.pod, monitored.host, self.primary
                    ),
                ));
            }
            return;
        }
        let settings =
            monitored.quorum == self.view.quorum() && monitored.settings == self.config.monitor;
        if !settings || !self.strangers().is_empty() {
            plan.act(self.order(None));
        }
        if monitored.down || monitored.failing_over {
            plan.wait(Blocked::new(
                reason::SENTINEL_SEES_PRIMARY_DOWN,
                format!("{} holds {} for down", self.pod, self.primary),
            ));
        }
        let unknown = unknown(self.view, self.primary, self.pod, monitored);
        if !unknown.is_empty() {
            plan.wait(Blocked::new(
                reason::SENTINEL_UNACQUAINTED,
                format!("{} has not found {} yet", self.pod, unknown.join(", ")),
            ));
        }
    }

    /// It joins, and some other one might fail over with fewer votes than are needed from then on.
    fn comes_early(&self) -> bool {
        let view = self.view;
        let asks_for_less = |pod: &String| {
            let watch = view.sentinel(pod).map(|status| &status.monitored);
            watch.is_none_or(|watch| {
                let quorum = watch.as_ref().map(|watch| watch.quorum);
                quorum.is_some_and(|quorum| quorum < view.quorum())
            })
        };
        view.joining.as_deref() == Some(self.pod) && view.sentinels.iter().any(asks_for_less)
    }

    /// Replicas are linked, or were waited for, or a majority knows the primary already and will tell.
    fn in_good_time(&self) -> bool {
        let view = self.view;
        view.named().is_some()
            || view.passed(view.topology.since.as_ref(), REPLICAS_MS)
            || view
                .nodes
                .iter()
                .filter(|pod| pod.as_str() != self.primary)
                .all(|pod| view.data(pod).is_some_and(linked))
    }

    /// The other Sentinels that this one has not found, to be introduced: by itself it finds them within seconds.
    fn strangers(&self) -> Vec<Peer> {
        let view = self.view;
        let monitored = view
            .sentinel(self.pod)
            .and_then(|sentinel| sentinel.monitored.as_ref());
        unknown_peers(view, self.pod, monitored)
            .into_iter()
            .filter_map(|pod| {
                Some(Peer {
                    pod: pod.to_owned(),
                    run_id: view.sentinel(pod)?.run_id.clone()?,
                })
            })
            .collect()
    }

    fn order(&self, instead_of: Option<String>) -> Action {
        Action::Monitor {
            pod: self.pod.to_owned(),
            order: MonitorOrder {
                // A silent Sentinel need not be waited for: it hears of the newer epoch, and agrees, when it is back.
                config_epoch: match instead_of {
                    Some(_) => 1 + newest_epoch(self.view),
                    None => 0,
                },
                instead_of,
                peers: self.strangers(),
                ..order(self.view, self.primary, Vec::new())
            },
        }
    }
}

/// The newest `config-epoch`, where Sentinels name different pods in it. The newer epoch wins among Sentinels, so these would
/// never come to agree. Two that were told of different primaries before they met are in this state.
fn tied(view: &View<'_>) -> Option<u64> {
    let newest = newest_epoch(view);
    let watches = view.watches();
    let named: BTreeSet<&str> = watches
        .filter(|monitored| monitored.config_epoch == newest)
        .map(|monitored| monitored.host.as_str())
        .collect();
    (named.len() > 1).then_some(newest)
}

/// Some Sentinel names another data pod, and so many watch nobody, their volumes lost, that the others are no majority: these
/// cannot have decided anything since, nor decide it now. What they still name outlives a decision that was taken without them.
/// By its newer epoch it would win over those that are told anew.
fn outlived(view: &View<'_>, primary: &str) -> bool {
    let names_another = view.watches().any(|monitored| {
        let pod = view.bus.names.data_pod_of_host(&monitored.host);
        pod.is_some_and(|pod| pod != primary)
    });
    let unaware = view.sentinels.iter().filter(|pod| {
        let status = view.sentinel(pod);
        status.is_some_and(|status| status.monitored.is_none())
    });
    names_another && 2 * (view.sentinels.len() - unaware.count()) <= view.sentinels.len()
}

/// The newest `config-epoch` of a Sentinel that answers.
fn newest_epoch(view: &View<'_>) -> u64 {
    let epochs = view.watches().map(|monitored| monitored.config_epoch);
    epochs.max().unwrap_or_default()
}

/// The linked replicas and the answering Sentinels that a Sentinel does not know.
pub fn unknown<'a>(
    view: &View<'a>,
    primary: &str,
    sentinel: &str,
    monitored: &Monitored,
) -> Vec<&'a str> {
    let names = &view.bus.names;
    let replicas: BTreeSet<String> = monitored
        .replicas
        .iter()
        .filter_map(|host| names.data_pod_of_host(host))
        .collect();
    let missing_replicas = view
        .reports()
        .filter(|(pod, data)| {
            *pod != primary && matches!(data.phase, Phase::Following(_)) && linked(data)
        })
        .map(|(pod, _)| pod)
        .filter(|pod| !replicas.contains(*pod));
    let missing_peers = unknown_peers(view, sentinel, Some(monitored));
    missing_replicas.chain(missing_peers).collect()
}

/// The answering Sentinels that a Sentinel does not know; all others, where it watches nobody.
fn unknown_peers<'a>(
    view: &View<'a>,
    sentinel: &str,
    monitored: Option<&Monitored>,
) -> Vec<&'a str> {
    let known: BTreeSet<&str> = monitored
        .into_iter()
        .flat_map(|monitored| &monitored.peers)
        .filter_map(|host| host.split('.').next())
        .collect();
    view.observed
        .sentinels
        .keys()
        .map(String::as_str)
        .filter(|pod| *pod != sentinel && view.told().any(|told| told == *pod))
        .filter(|pod| view.sentinel(pod).is_some() && !known.contains(pod))
        .collect()
}

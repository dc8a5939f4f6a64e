//! Volumes. Where their class allows it they grow; what else they owe, a new volume brings in, see [`super::rollout`].

use super::blocked::{Blocked, reason};
use super::health::leading;
use super::view::View;
use super::{Action, Plan};
use crate::bus::Bus;
use crate::names::Component;
use crate::observed::{ClaimTemplate, ClaimView, Home, Node};
use crate::render::wanted_claim;
use cachebus_api::Bytes;
use cachebus_api::status::Topology;
use std::collections::BTreeMap;

/// Time in which kubelet makes a file system as large as its volume while that is mounted, in milliseconds. Some drivers never do.
const MOUNTED_MS: u64 = 120_000;

/// What a volume needs.
pub enum Need {
    /// Another one in its place, since the node that it lies on is gone.
    Lost(String),
    /// Another one in its place.
    Replaced(String),
    /// The same, and it is the only copy of the data.
    OnlyCopy(String),
    /// Its claim has to ask for more.
    Asked(String),
    /// To be told whether it can grow.
    Untold(String),
    /// Time.
    Growing(String),
    /// Its pod has to mount it anew.
    Mounted(String),
}

/// What the volume of a pod needs. `None`: it is as asked.
pub fn need(view: &View<'_>, component: Component, node: &Node) -> Option<Need> {
    let claim = node.claim.as_ref()?;
    let need = unlike(view, component, claim).or_else(|| unfinished(view, claim))?;
    let alone = component == Component::Redis && view.bus.spec.replicas == 0;
    Some(match need {
        Need::Lost(why) | Need::Replaced(why) if alone => Need::OnlyCopy(why),
        need => need,
    })
}

/// How a claim differs from what the spec asks for.
fn unlike(view: &View<'_>, component: Component, claim: &ClaimView) -> Option<Need> {
    if let Home::Gone(node) = &claim.home {
        return Some(Need::Lost(format!(
            "its volume is on the node {node}, which is gone"
        )));
    }
    let recorded = view.topology.restart.as_ref();
    if claim.terminating && recorded.is_some_and(|restart| is_of(claim, restart.claim.as_ref())) {
        return Some(Need::Replaced("its claim is being deleted".to_owned()));
    }
    let wanted = wanted_claim(view.bus, component);
    if let Some(class) = &wanted.class
        && claim.class.as_ref() != Some(class)
    {
        let has = claim.class.as_deref().unwrap_or("none");
        let why = format!("volume of the class {has}, not {class}");
        return Some(Need::Replaced(why));
    }
    if !grows(view.bus, component, claim) {
        return None;
    }
    let why = format!("volume of {} bytes, not {}", claim.asked?, wanted.size);
    Some(match claim.expandable {
        Some(true) => Need::Asked(why),
        Some(false) => Need::Replaced(why),
        None => Need::Untold(format!(
            "{why}, and nobody tells whether its class lets it grow"
        )),
    })
}

/// Whether a claim asks for less than the spec does.
#[must_use]
pub fn grows(bus: &Bus, component: Component, claim: &ClaimView) -> bool {
    let wanted = Bytes::text(&wanted_claim(bus, component).size).get();
    claim.asked < wanted && claim.asked.is_some()
}

/// What is left of a growth that was asked for.
fn unfinished(view: &View<'_>, claim: &ClaimView) -> Option<Need> {
    let (has, asked) = (claim.has?, claim.asked?);
    let since = claim.file_system_pending.as_ref();
    if since.is_some() && view.passed(since, MOUNTED_MS) {
        let why = "its file system grows when it is mounted anew";
        return Some(Need::Mounted(why.to_owned()));
    }
    let stalled = claim.not_growing.as_ref();
    (has < asked).then(|| {
        let stalled = stalled.map_or_else(String::new, |why| format!(": {why}"));
        Need::Growing(format!("{has} of {asked} bytes{stalled}"))
    })
}

/// Whether a claim is the one with this UID.
pub fn is_of(claim: &ClaimView, uid: Option<&String>) -> bool {
    uid == Some(&claim.uid)
}

/// Whether new pods of a component get a claim as the spec asks for.
pub fn is_templated(view: &View<'_>, component: Component) -> bool {
    let set = view.observed.sets.get(&component);
    set.is_some_and(|set| !set.terminating && is_as_wanted(view.bus, component, &set.claim))
}

fn is_as_wanted(bus: &Bus, component: Component, template: &ClaimTemplate) -> bool {
    let wanted = wanted_claim(bus, component);
    let bytes = |template: &ClaimTemplate| Bytes::text(&template.size).get();
    bytes(template) == bytes(&wanted) && template.class == wanted.class
}

/// Has StatefulSets made anew whose claim template is another one, and volumes grow, and tells of those that do not get further.
pub fn settle(view: &View<'_>, plan: &mut Plan) {
    for (component, set) in &view.observed.sets {
        if !set.terminating && !is_as_wanted(view.bus, *component, &set.claim) {
            plan.act(Action::Remake {
                component: *component,
                uid: set.uid.clone(),
            });
        }
    }
    let data = view.nodes.iter().map(|pod| (Component::Redis, pod));
    let sentinels = view.sentinels.iter().map(|pod| (Component::Sentinel, pod));
    let mut told: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    for (component, pod) in data.chain(sentinels) {
        let nodes = match component {
            Component::Redis => &view.observed.data,
            Component::Sentinel => &view.observed.sentinels,
        };
        let Some((node, claim)) = nodes
            .get(pod)
            .and_then(|node| Some((node, node.claim.as_ref()?)))
        else {
            continue;
        };
        let need = need(view, component, node);
        if let Some(Need::Asked(_)) = &need {
            // Its end is an event.
            plan.actions.push(Action::Grow {
                pod: pod.clone(),
                claim: claim.uid.clone(),
                size: wanted_claim(view.bus, component).size,
            });
        }
        if let Some((reason, what)) = obstacle(view, claim, need) {
            told.entry(reason)
                .or_default()
                .push(format!("{pod} ({what})"));
        }
    }
    for (reason, pods) in told {
        plan.stuck(Blocked::new(
            reason,
            format!("{}: {}", title(reason), pods.join(", ")),
        ));
    }
}

fn title(reason: &str) -> &'static str {
    match reason {
        reason::VOLUMES_GROWING => "volumes grow",
        reason::ONLY_COPY => "not replaced, since the data is nowhere else",
        reason::VOLUME_LOST => "lost, and nobody leads from whom the data could come",
        _ => "it cannot be told what becomes of volumes",
    }
}

/// Why a volume does not get further at once.
fn obstacle(
    view: &View<'_>,
    claim: &ClaimView,
    need: Option<Need>,
) -> Option<(&'static str, String)> {
    if let Home::Untold(why) = &claim.home {
        return Some((reason::VOLUME_UNKNOWN, why.clone()));
    }
    match need? {
        Need::Asked(what) | Need::Growing(what) => Some((reason::VOLUMES_GROWING, what)),
        Need::Untold(what) => Some((reason::VOLUME_UNKNOWN, what)),
        Need::OnlyCopy(what) => Some((reason::ONLY_COPY, what)),
        Need::Lost(what) => leading(view)
            .is_none()
            .then_some((reason::VOLUME_LOST, what)),
        Need::Replaced(_) | Need::Mounted(_) => None,
    }
}

/// Whether a record still asks for the volume of a pod to be given up. `claim`: UID of its claim.
#[must_use]
pub fn replacement_intended(topology: &Topology, pod: &str, claim: &str) -> bool {
    let restart = topology.restart.as_ref();
    let recorded = restart
        .is_some_and(|restart| restart.pod == pod && restart.claim.as_deref() == Some(claim));
    let primary = topology.primary.as_deref();
    recorded && primary.is_some_and(|primary| primary != pod)
}

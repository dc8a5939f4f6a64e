//! What a restart of pods is still owed to.

use super::Desired;
use super::users::runs;
use super::view::View;
use crate::config::drift;
use crate::engine::line;
use crate::names::Component;
use crate::observed::Node;
use crate::status::named;
use cachebus_api::settings::TlsMode;
use cachebus_api::status::PendingRestart;

/// A pod that runs with something older than what is asked for.
pub struct Owed {
    pub component: Component,
    pub pod: String,
    /// What a restart brings in.
    pub restart: Vec<String>,
    /// What none brings in.
    rest: Option<String>,
}

impl Owed {
    /// What a restart is for, for people.
    pub fn reason(&self) -> String {
        self.restart.join("; ")
    }
}

impl From<Owed> for PendingRestart {
    fn from(owed: Owed) -> Self {
        let reasons: Vec<String> = owed.restart.into_iter().chain(owed.rest).collect();
        Self {
            pod: owed.pod,
            reason: reasons.join("; "),
        }
    }
}

/// Each pod that runs with something older than what is asked for.
pub fn owed(view: &View<'_>, desired: &Desired) -> Vec<Owed> {
    let data = view.observed.data.iter();
    let sentinels = view.observed.sentinels.iter();
    let all = data
        .map(|(pod, node)| (Component::Redis, pod, node))
        .chain(sentinels.map(|(pod, node)| (Component::Sentinel, pod, node)));
    all.map(|(component, pod, node)| Owed {
        component,
        pod: pod.clone(),
        restart: [
            revision(view, component, node),
            engine(view, node),
            directives(view, pod),
            certificate(view, component, node, desired.certificate.as_ref()),
        ]
        .into_iter()
        .flatten()
        .collect(),
        rest: volume(view, component, node),
    })
    .filter(|owed| !owed.restart.is_empty() || owed.rest.is_some())
    .collect()
}

fn revision(view: &View<'_>, component: Component, node: &Node) -> Option<String> {
    let wanted = view.observed.revisions.get(&component)?;
    let made_from = node.pod.as_ref()?.revision.as_ref()?;
    (made_from != wanted).then(|| "made from an older pod template".to_owned())
}

fn engine(view: &View<'_>, node: &Node) -> Option<String> {
    let engine = node.agent.as_ref()?.engine.as_ref()?;
    let wanted = &view.bus.spec.engine;
    let same = engine.kind == wanted.kind && line(&engine.version) == wanted.version;
    (!same).then(|| {
        let runs = named(engine.kind, &engine.version);
        format!("runs {runs}, not {}", named(wanted.kind, &wanted.version))
    })
}

fn directives(view: &View<'_>, pod: &str) -> Option<String> {
    let directives = drift(view.bus, &view.data(pod)?.config, view.memory_limit(pod)).restart;
    (!directives.is_empty()).then(|| format!("older {}", directives.join(", ")))
}

/// No engine's Sentinel takes up another certificate while it runs; data nodes do.
fn certificate(
    view: &View<'_>,
    component: Component,
    node: &Node,
    wanted: Option<&String>,
) -> Option<String> {
    if component != Component::Sentinel || view.bus.spec.tls.mode == TlsMode::Disabled {
        return None;
    }
    let served = node.agent.as_ref().filter(|agent| runs(agent))?;
    (served.certificate.as_ref() != Some(wanted?)).then(|| "serves another certificate".to_owned())
}

fn volume(view: &View<'_>, component: Component, node: &Node) -> Option<String> {
    let size = match component {
        Component::Redis => &view.bus.spec.storage.size,
        Component::Sentinel => &view.bus.spec.sentinel.storage_size,
    };
    let has = node.volume_bytes?;
    (has < size.get()?).then(|| format!("volume of {has} bytes, not {}", size.as_str()))
}

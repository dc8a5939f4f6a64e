//! What a restart of pods is still owed to.

use super::Desired;
use super::storage::{Need, need};
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
    /// What an empty volume brings in.
    pub volume: Option<String>,
    /// Whether its volume is lost with its node.
    pub lost: bool,
    /// What none brings in.
    rest: Option<String>,
}

impl Owed {
    /// What a restart is for, for people.
    pub fn reason(&self) -> String {
        let reasons: Vec<&str> = self.reasons().collect();
        reasons.join("; ")
    }

    fn reasons(&self) -> impl Iterator<Item = &str> {
        let all = self.restart.iter().chain(&self.volume);
        all.map(String::as_str)
    }

    fn add(&mut self, need: Option<Need>) {
        match need {
            None => {}
            Some(Need::Lost(why)) => {
                self.volume = Some(why);
                self.lost = true;
            }
            Some(Need::Replaced(why)) => self.volume = Some(why),
            Some(Need::Mounted(why)) => self.restart.push(why),
            Some(Need::OnlyCopy(why) | Need::Asked(why) | Need::Untold(why)) => {
                self.rest = Some(why);
            }
            Some(Need::Growing(why)) => self.rest = Some(format!("its volume grows: {why}")),
        }
    }

    /// Whether the operator has something to do for it.
    pub fn is_due(&self) -> bool {
        self.reasons().next().is_some()
    }
}

impl From<Owed> for PendingRestart {
    fn from(owed: Owed) -> Self {
        let reasons: Vec<&str> = owed.reasons().chain(owed.rest.as_deref()).collect();
        Self {
            reason: reasons.join("; "),
            pod: owed.pod,
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
    all.map(|(component, pod, node)| {
        let mut owed = Owed {
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
            volume: None,
            lost: false,
            rest: None,
        };
        owed.add(need(view, component, node));
        owed
    })
    .filter(|owed| owed.is_due() || owed.rest.is_some())
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

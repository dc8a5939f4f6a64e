//! What a restart of pods is still owed to.

use super::named;
use crate::config::drift;
use crate::names::Component;
use crate::observed::Node;
use crate::plan::users::runs;
use crate::plan::view::View;
use cachebus_api::settings::TlsMode;
use cachebus_api::status::PendingRestart;

/// Each pod that runs with something older than what is asked for. `certificate_expires`: end of the bus's serving
/// certificate, seconds since 1970.
pub fn pending(view: &View<'_>, certificate_expires: Option<i64>) -> Vec<PendingRestart> {
    let data = view.observed.data.iter();
    let sentinels = view.observed.sentinels.iter();
    let all = data
        .map(|(pod, node)| (Component::Redis, pod, node))
        .chain(sentinels.map(|(pod, node)| (Component::Sentinel, pod, node)));
    all.filter_map(|(component, pod, node)| {
        let reasons: Vec<String> = [
            revision(view, component, node),
            engine(view, node),
            directives(view, pod),
            certificate(view, component, node, certificate_expires),
            volume(view, component, node),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!reasons.is_empty()).then(|| PendingRestart {
            pod: pod.clone(),
            reason: reasons.join("; "),
        })
    })
    .collect()
}

fn revision(view: &View<'_>, component: Component, node: &Node) -> Option<String> {
    let wanted = view.observed.revisions.get(&component)?;
    let made_from = node.pod.as_ref()?.revision.as_ref()?;
    (made_from != wanted).then(|| "made from an older pod template".to_owned())
}

fn engine(view: &View<'_>, node: &Node) -> Option<String> {
    let engine = node.agent.as_ref()?.engine.as_ref()?;
    let wanted = view.bus.engine;
    let line = format!("{}.", wanted.version);
    let same = engine.kind == wanted.kind && engine.version.starts_with(&line);
    (!same).then(|| {
        let runs = named(engine.kind, &engine.version);
        format!("runs {runs}, not {}", named(wanted.kind, wanted.version))
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
    expires: Option<i64>,
) -> Option<String> {
    if component != Component::Sentinel || view.bus.spec.tls.mode == TlsMode::Disabled {
        return None;
    }
    let served = node.agent.as_ref().filter(|agent| runs(agent))?;
    (served.certificate_expires != Some(expires?)).then(|| "serves another certificate".to_owned())
}

fn volume(view: &View<'_>, component: Component, node: &Node) -> Option<String> {
    let size = match component {
        Component::Redis => &view.bus.spec.storage.size,
        Component::Sentinel => &view.bus.spec.sentinel.storage_size,
    };
    let has = node.volume_bytes?;
    (has < size.get()?).then(|| format!("volume of {has} bytes, not {}", size.as_str()))
}

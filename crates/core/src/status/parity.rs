//! Whether what runs is what was asked for: users, settings, certificates, engine.

use super::condition::{Finding, kind};
use super::named;
use crate::acl::digest;
use crate::config::drift;
use crate::engine::of_release;
use crate::names::Component;
use crate::observed::Node;
use crate::plan::configure::refused;
use crate::plan::users::{differs, runs};
use crate::plan::view::View;
use crate::plan::{Desired, Plan, reason};
use crate::protocol::AgentStatus;
use cachebus_api::settings::TlsMode;
use std::collections::BTreeSet;

/// Whether each node has the users of the contract.
pub fn users(view: &View<'_>, desired: &Desired) -> Finding {
    let wanted = |component| match component {
        Component::Redis => digest(&desired.acl.redis),
        Component::Sentinel => digest(&desired.acl.sentinel),
    };
    let other: Vec<&str> = running(view)
        .filter(|(_, node, agent)| differs(node, &wanted(agent.component())))
        .map(|(pod, _, _)| pod)
        .collect();
    let known = running(view).next().is_some();
    judge(
        kind::USERS_IN_SYNC,
        known,
        &other,
        ("UsersInSync", "every node has the users of the contract"),
        ("UsersDiffer", "users are being set on"),
    )
}

/// Whether each data node has the settings of the spec, as far as they can be set live.
pub fn configuration(view: &View<'_>) -> Finding {
    let known = view.reports().any(|(_, data)| !data.config.is_empty());
    let other: Vec<String> = view
        .reports()
        .filter_map(|(pod, data)| {
            let drift = drift(view.bus, &data.config, view.memory_limit(pod));
            let told =
                |(directive, value): (String, String)| match refused(data, &directive, &value) {
                    Some(refused) => format!("{directive}: {}", refused.why),
                    None => directive,
                };
            let directives: Vec<String> = drift.live.into_iter().map(told).collect();
            (!directives.is_empty()).then(|| format!("{pod} ({})", directives.join(", ")))
        })
        .collect();
    let other: Vec<&str> = other.iter().map(String::as_str).collect();
    judge(
        kind::CONFIGURATION_IN_SYNC,
        known,
        &other,
        (
            "SettingsInSync",
            "every data node has the settings of the spec",
        ),
        ("SettingsDiffer", "settings are being set on"),
    )
}

/// Whether each node serves the bus's certificate, and whether that can be renewed.
pub fn certificates(view: &View<'_>, plan: &Plan, desired: &Desired) -> Finding {
    let mut blocked = plan.blocked.iter();
    if let Some(lost) = blocked.find(|blocked| blocked.reason == reason::AUTHORITY_LOST) {
        return Finding::bad(kind::TLS_READY, lost.reason, lost.message.clone());
    }
    if view.bus.spec.tls.mode == TlsMode::Disabled {
        let message = "tls.mode is Disabled: nodes and clients speak plain text".to_owned();
        return Finding::good(kind::TLS_READY, "Disabled", message);
    }
    let Some(expires) = desired.certificate_expires else {
        let message = "the serving certificate has not been issued yet".to_owned();
        return Finding::bad(kind::TLS_READY, "NotIssued", message);
    };
    if expires.saturating_mul(1_000) <= i64::try_from(view.observed.now_ms).unwrap_or(i64::MAX) {
        let message = "the serving certificate has expired".to_owned();
        return Finding::bad(kind::TLS_READY, "Expired", message);
    }
    let other: Vec<&str> = running(view)
        .filter(|(_, _, agent)| agent.certificate != desired.certificate)
        .map(|(pod, _, _)| pod)
        .collect();
    judge(
        kind::TLS_READY,
        running(view).next().is_some(),
        &other,
        (
            "CertificateServed",
            "every node serves the bus's certificate",
        ),
        ("OtherCertificate", "another certificate is served by"),
    )
}

/// Whether no node runs an engine with a known critical security hole.
pub fn engine(view: &View<'_>) -> Finding {
    let mut known = false;
    let mut holes = BTreeSet::new();
    for (_, _, agent) in answering(view) {
        let Some(engine) = &agent.engine else {
            continue;
        };
        known = true;
        let line = of_release(engine.kind, &engine.version);
        if line.is_some_and(|line| line.is_secure(&engine.version)) {
            continue;
        }
        let fixed = match line.and_then(|line| line.secure_patch.map(|patch| (line, patch))) {
            Some((line, patch)) => format!("first fixed in {}.{patch}", line.version),
            None => "which no release of that line fixes".to_owned(),
        };
        let version = named(engine.kind, &engine.version);
        holes.insert(format!("{version} has known critical holes, {fixed}"));
    }
    if holes.is_empty() && known {
        let message = "no engine has a critical hole known to this operator".to_owned();
        return Finding::good(kind::ENGINE_UP_TO_DATE, "UpToDate", message);
    }
    if holes.is_empty() {
        return Finding::unknown(kind::ENGINE_UP_TO_DATE);
    }
    let message = Vec::from_iter(holes).join("; ");
    Finding::bad(kind::ENGINE_UP_TO_DATE, "KnownHoles", message)
}

fn judge(
    kind: &'static str,
    known: bool,
    other: &[&str],
    good: (&str, &str),
    bad: (&str, &str),
) -> Finding {
    if !other.is_empty() {
        return Finding::bad(kind, bad.0, format!("{} {}", bad.1, other.join(", ")));
    }
    if known {
        Finding::good(kind, good.0, good.1.to_owned())
    } else {
        Finding::unknown(kind)
    }
}

/// The bus's pods whose agents answer.
fn answering<'a>(view: &'a View<'_>) -> impl Iterator<Item = (&'a str, &'a Node, &'a AgentStatus)> {
    let nodes = view.observed.data.iter().chain(&view.observed.sentinels);
    nodes
        .filter(|(_, node)| view.is_ours(node))
        .filter_map(|(pod, node)| Some((pod.as_str(), node, node.agent.as_ref()?)))
}

/// Those whose server runs.
fn running<'a>(view: &'a View<'_>) -> impl Iterator<Item = (&'a str, &'a Node, &'a AgentStatus)> {
    answering(view).filter(|(_, _, agent)| runs(agent))
}

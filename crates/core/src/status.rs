//! What is reported of a bus: [`report`]. Nothing in it changes while nothing changes: no offsets, no lags, no counters.

mod backup;
mod condition;
mod contract;
mod eviction;
mod failover;
mod files;
mod library;
mod memory;
mod parity;
mod replication;
mod rest;
mod rollout;
mod sentinels;
mod streams;

pub use condition::{HIBERNATED, kind};
pub use failover::{PLANNED, recorded};

use crate::bus::{Bus, Violation};
use crate::observed::Observed;
use crate::plan::view::{View, time};
use crate::plan::{Blocked, Desired, Plan, flush, pending, restore};
use cachebus_api::CacheBusStatus;
use cachebus_api::engine::EngineKind;
use cachebus_api::status::{Binding, Count};
use condition::{Finding, Reporter};

/// The status after a pass: what was seen, what was decided (`plan`, whose record is taken for written), and what is owed.
#[must_use]
pub fn report(bus: &Bus, observed: &Observed, plan: &Plan, desired: &Desired) -> CacheBusStatus {
    let certificate_expires = desired.certificate_expires;
    let previous = match plan.record() {
        Some(record) => recorded(bus, observed, record),
        None => observed.status.clone(),
    };
    let mut view = View::new(bus, observed);
    view.topology = previous.topology.clone().unwrap_or_default();
    let replicas = replication::Replicas::of(&view);
    let quorum = sentinels::Quorum::of(&view);
    let pending_restart = pending::owed(&view, desired);
    let pending_restart: Vec<_> = pending_restart.into_iter().map(Into::into).collect();

    let mut findings = vec![Finding::good(
        kind::VALID,
        "Valid",
        "the spec can be carried out".to_owned(),
    )];
    if bus.spec.hibernated {
        findings.extend(rest::asleep());
    } else {
        findings.extend([
            replication::available(&view, plan),
            replicas.finding(&view),
            quorum.finding(&view),
            parity::users(&view, desired),
            parity::configuration(&view),
            parity::certificates(&view, plan, desired),
            rollout::complete(&view, plan, &pending_restart),
        ]);
    }
    let primary = view.topology.primary.as_deref().unwrap_or_default();
    let summary = format!(
        "{primary} is the primary, {} replicas and {} Sentinels are well",
        replicas.in_sync(),
        quorum.agreeing()
    );
    findings.push(condition::ready(&findings, summary));
    findings.push(parity::engine(&view));
    let backup = backup::progress(bus, observed);
    findings.extend(backup::backed_up(bus, observed, backup.as_ref()));
    findings.extend(memory::sufficient(&view));
    findings.extend(files::readable(&view));
    findings.extend(library::loaded(&view));
    findings.extend(eviction::spares_events(bus));
    findings.extend(streams::consumed(&view));
    findings.extend(rest::paused(bus));
    findings.extend(rest::hibernated(bus, observed));

    let reporter = Reporter {
        previous: &previous.conditions,
        generation: bus.generation,
        now: view.now(),
    };
    CacheBusStatus {
        observed_generation: Some(bus.generation),
        conditions: reporter.conditions(findings),
        topology: previous.topology,
        last_failover: previous.last_failover,
        replicas: Some(Count::new(replicas.in_sync(), bus.spec.replicas)),
        sentinels: Some(Count::new(quorum.agreeing(), bus.spec.sentinel.replicas)),
        engine_version: engine_version(&view).or(previous.engine_version),
        bindings: bus
            .spec
            .services
            .iter()
            .map(|service| Binding {
                service: service.name.clone(),
                name: bus.names.binding(&service.name),
            })
            .collect(),
        pending_restart,
        certificate_expires: certificate_expires
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(|seconds| time(seconds.saturating_mul(1_000))),
        backup,
        restored: restore::noted(bus, observed),
        flush: flush::reported(&view, desired),
        contract: Some(contract::size(&bus.spec)),
    }
}

/// The status of a bus whose spec cannot be carried out: each field with what is wrong. What runs goes on by the last spec
/// that could be: `current` is what is to be reported of that, `previous` the status as last written.
#[must_use]
pub fn invalid(
    previous: &CacheBusStatus,
    current: CacheBusStatus,
    generation: i64,
    violations: &[Violation],
    now_ms: u64,
) -> CacheBusStatus {
    let message = violations
        .iter()
        .map(|violation| format!("{}: {}", violation.path, violation.message))
        .collect::<Vec<_>>()
        .join("; ");
    let reason = match violations {
        [only] => only.reason,
        _ => "Invalid",
    };
    let reporter = Reporter {
        previous: &previous.conditions,
        generation,
        now: time(now_ms),
    };
    let mut status = current;
    status.observed_generation = Some(generation);
    for finding in [
        Finding::bad(kind::VALID, reason, message.clone()),
        Finding::bad(kind::READY, "Invalid", message),
    ] {
        reporter.replace(&mut status.conditions, finding);
    }
    status
}

/// The status of a bus whose agents cannot be spoken to, since there is no certificate to do it with: as last written, but
/// for what keeps it from being looked after.
#[must_use]
pub fn cut_off(
    previous: CacheBusStatus,
    generation: i64,
    why: &Blocked,
    now_ms: u64,
) -> CacheBusStatus {
    let mut conditions = previous.conditions.clone();
    let reporter = Reporter {
        previous: &previous.conditions,
        generation,
        now: time(now_ms),
    };
    for kind in [kind::TLS_READY, kind::READY] {
        let finding = Finding::bad(kind, why.reason, why.message.clone());
        reporter.replace(&mut conditions, finding);
    }
    CacheBusStatus {
        observed_generation: Some(generation),
        conditions,
        ..previous
    }
}

/// Engine and version as the primary reports them.
fn engine_version(view: &View<'_>) -> Option<String> {
    let primary = view.topology.primary.as_ref()?;
    let engine = view
        .observed
        .data
        .get(primary)?
        .agent
        .as_ref()?
        .engine
        .as_ref()?;
    Some(named(engine.kind, &engine.version))
}

/// An engine for people: `Redis 8.2.9`.
pub(crate) fn named(kind: EngineKind, version: &str) -> String {
    match kind {
        EngineKind::Redis => format!("Redis {version}"),
        EngineKind::Valkey => format!("Valkey {version}"),
    }
}

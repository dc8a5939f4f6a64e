//! The agent's own figures.

use super::page::{Kind, Page};
use crate::snapshot::Snapshot;
use cachebus_core::protocol::{DataStatus, NodeStatus, Phase};
use std::fmt;

pub(super) fn encode(page: &mut Page<'_>, snapshot: &Snapshot) -> Result<(), fmt::Error> {
    let status = &snapshot.status;
    let version = vec![("version", status.agent_version.clone())];
    page.each(
        Kind::Gauge,
        "cachebus_agent_info",
        "Version of the agent",
        [(version, 1.0)],
    )?;
    page.one(
        Kind::Counter,
        "cachebus_agent_server_crashes",
        "Ends of the server that nobody asked for, since the agent started",
        figure(status.crashes),
    )?;
    page.one(
        Kind::Gauge,
        "cachebus_agent_ready",
        "Whether the pod reports itself ready",
        flag(snapshot.health.unready.is_none()),
    )?;
    page.one(
        Kind::Gauge,
        "cachebus_agent_acl_in_sync",
        "Whether the live users were last seen to equal those that shall be",
        flag(status.acl_digest.is_some()),
    )?;
    if let Some(expires) = status.certificate_expires {
        page.one(
            Kind::Gauge,
            "cachebus_agent_certificate_expiry_timestamp_seconds",
            "Expiry of the certificate that the server was last told to load",
            figure(u64::try_from(expires).unwrap_or_default()),
        )?;
    }
    match &status.node {
        NodeStatus::Redis(data) => of_data(page, data),
        NodeStatus::Sentinel(_) => Ok(()),
    }
}

fn of_data(page: &mut Page<'_>, data: &DataStatus) -> Result<(), fmt::Error> {
    let now = phase(&data.phase);
    let phases = [
        "Down",
        "Holding",
        "Loading",
        "Sealed",
        "Leading",
        "Following",
    ];
    page.each(
        Kind::Gauge,
        "cachebus_agent_phase",
        "Where the data pod stands: 1 for the phase it is in",
        phases.map(|phase| (vec![("phase", phase.to_owned())], flag(phase == now))),
    )?;
    page.one(
        Kind::Gauge,
        "cachebus_agent_fenced",
        "Whether the primary is made to refuse writes, since another may lead or come to lead",
        flag(data.fenced.is_some()),
    )?;
    if let Some(library) = &data.library {
        let version = library.version.clone().unwrap_or_default();
        page.each(
            Kind::Gauge,
            "cachebus_agent_library_info",
            "Version of the function library that the primary serves; empty: none",
            [(vec![("version", version)], 1.0)],
        )?;
        page.one(
            Kind::Gauge,
            "cachebus_agent_library_refused",
            "Whether the primary does not take the function library",
            flag(library.refused.is_some()),
        )?;
    }
    if let Some(marker) = &data.marker {
        page.one(
            Kind::Gauge,
            "cachebus_agent_epoch",
            "Epoch of the marker beside the data",
            figure(marker.epoch),
        )?;
        page.one(
            Kind::Gauge,
            "cachebus_agent_copy_complete",
            "Whether the files hold a whole copy",
            flag(marker.complete),
        )?;
    }
    Ok(())
}

fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Down => "Down",
        Phase::Holding => "Holding",
        Phase::Loading => "Loading",
        Phase::Sealed => "Sealed",
        Phase::Leading => "Leading",
        Phase::Following(_) => "Following",
        Phase::Unknown => "Unknown",
    }
}

pub(super) fn flag(set: bool) -> f64 {
    if set { 1.0 } else { 0.0 }
}

/// Prometheus knows no other numbers than these; beyond 2^53 the last digits are rounded.
#[allow(clippy::cast_precision_loss)]
pub(super) fn figure(number: u64) -> f64 {
    number as f64
}

//! What the operator counts of itself. No label grows with the number of objects.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;

/// One kind of request to the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ApiRequest {
    /// Verb as RBAC names it.
    pub verb: &'static str,
    /// Resource, with its subresource: `cachebuses/status`.
    pub resource: String,
}

/// Why a pass over a bus failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Failure {
    /// Stable, one word.
    pub reason: &'static str,
}

/// Whether a bus is ready.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Readiness {
    /// Status of the condition `Ready`: `True`, `False` or `Unknown`.
    pub ready: &'static str,
}

/// What an agent answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answer {
    /// `ok`, or the stable reason of the failure.
    pub result: &'static str,
}

/// What became of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ending {
    /// `succeeded` or `failed`.
    pub result: &'static str,
}

/// What the operator counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    /// Requests to the API server.
    pub api_requests: Family<ApiRequest, Counter>,
    /// Requests to agents.
    pub agent_requests: Family<Answer, Counter>,
    /// Passes over a bus that ran to their end.
    pub passes: Counter,
    /// Passes that failed.
    pub failures: Family<Failure, Counter>,
    /// Time that a pass takes, seconds.
    pub duration: Histogram,
    /// Buses by readiness.
    pub buses: Family<Readiness, Gauge>,
    /// Whether this process leads: 1 or 0.
    pub leader: Gauge,
    /// Backups that came to their end.
    pub backups: Family<Ending, Counter>,
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("cachebus_operator");
        let api_requests = Family::default();
        let agent_requests = Family::default();
        let passes = Counter::default();
        let failures = Family::default();
        let duration = Histogram::new([0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0]);
        let buses = Family::default();
        let leader = Gauge::default();
        let backups = Family::default();
        registry.register(
            "api_requests",
            "Requests to the Kubernetes API",
            api_requests.clone(),
        );
        registry.register(
            "agent_requests",
            "Requests to agents",
            agent_requests.clone(),
        );
        registry.register("reconciles", "Passes over a bus", passes.clone());
        registry.register(
            "reconcile_errors",
            "Passes over a bus that failed",
            failures.clone(),
        );
        registry.register_with_unit(
            "reconcile_duration",
            "Time that a pass over a bus takes",
            Unit::Seconds,
            duration.clone(),
        );
        registry.register(
            "buses",
            "Buses by the status of their condition Ready",
            buses.clone(),
        );
        registry.register("leader", "Whether this process leads", leader.clone());
        registry.register("backups", "Backups that came to their end", backups.clone());
        Self {
            registry: Arc::new(registry),
            api_requests,
            agent_requests,
            passes,
            failures,
            duration,
            buses,
            leader,
            backups,
        }
    }

    /// Everything in the text format of `OpenMetrics`.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

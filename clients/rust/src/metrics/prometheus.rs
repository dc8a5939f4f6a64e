//! Metrics for a registry of `prometheus-client`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{EventFailure, Metrics};
use crate::events::Backlog;
#[cfg(feature = "outbox")]
use crate::events::OutboxBacklog;

/// Seconds: handlers take from less than a millisecond to half a minute.
const BUCKETS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// Metrics for a registry of `prometheus-client`; one for each registry. With feature `prometheus`.
///
/// Besides what [`Metrics`] names it has `cache_hit_ratio`: the hits of all reads since the start.
///
/// ```no_run
/// use cachebus::{CacheBus, PrometheusMetrics, Source};
/// use prometheus_client::registry::Registry;
///
/// # fn example() -> cachebus::Result<()> {
/// let mut registry = Registry::default();
/// let metrics = PrometheusMetrics::register(&mut registry);
/// let bus = CacheBus::builder(Source::discover()?).metrics(metrics).open()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PrometheusMetrics {
    hits: Family<OfKeyspace, Counter>,
    misses: Family<OfKeyspace, Counter>,
    reads: Arc<Reads>,
    published: Family<OfChannel, Counter>,
    consumed: Family<OfChannel, Counter>,
    processing: Family<OfChannel, Histogram, fn() -> Histogram>,
    errors: Family<OfFailure, Counter>,
    pending: Family<OfChannel, Gauge>,
    waiting: Family<OfChannel, Gauge>,
    age: Family<OfChannel, Gauge<f64, AtomicU64>>,
    #[cfg(feature = "outbox")]
    outbox: OfOutbox,
}

#[cfg(feature = "outbox")]
#[derive(Debug, Default)]
struct OfOutbox {
    waiting: Gauge,
    refused: Gauge,
    age: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKeyspace {
    keyspace: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfChannel {
    channel: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFailure {
    channel: String,
    reason: &'static str,
}

impl PrometheusMetrics {
    /// Adds them to a registry, under their own names: one with a prefix puts it before them.
    pub fn register(registry: &mut Registry) -> Arc<Self> {
        let metrics = Self {
            hits: Family::default(),
            misses: Family::default(),
            reads: Arc::default(),
            published: Family::default(),
            consumed: Family::default(),
            processing: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            errors: Family::default(),
            pending: Family::default(),
            waiting: Family::default(),
            age: Family::default(),
            #[cfg(feature = "outbox")]
            outbox: OfOutbox::default(),
        };
        // Counters get their `_total` when they are written.
        registry.register("cache_hits", "Values found", metrics.hits.clone());
        registry.register("cache_misses", "Values missed", metrics.misses.clone());
        registry.register_collector(Box::new(Ratio(Arc::clone(&metrics.reads))));
        registry.register(
            "events_published",
            "Events emitted",
            metrics.published.clone(),
        );
        registry.register(
            "events_consumed",
            "Events handled",
            metrics.consumed.clone(),
        );
        registry.register(
            "event_processing_duration_seconds",
            "Time that handlers took",
            metrics.processing.clone(),
        );
        registry.register(
            "event_errors",
            "Events that failed, by reason",
            metrics.errors.clone(),
        );
        registry.register(
            "events_pending",
            "Events that the service's consumers have and have not acknowledged",
            metrics.pending.clone(),
        );
        registry.register(
            "events_waiting",
            "Events that none of the service's consumers has yet",
            metrics.waiting.clone(),
        );
        registry.register(
            "events_oldest_age_seconds",
            "Age of the oldest event that the service has not acknowledged",
            metrics.age.clone(),
        );
        #[cfg(feature = "outbox")]
        metrics.outbox.register(registry);
        Arc::new(metrics)
    }
}

#[cfg(feature = "outbox")]
impl OfOutbox {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "events_outbox_waiting",
            "Events of the outbox that are yet to be emitted",
            self.waiting.clone(),
        );
        registry.register(
            "events_outbox_refused",
            "Events of the outbox that cannot be emitted",
            self.refused.clone(),
        );
        registry.register(
            "events_outbox_age_seconds",
            "Age of the oldest event of the outbox that is yet to be emitted",
            self.age.clone(),
        );
    }
}

impl Metrics for PrometheusMetrics {
    fn hit(&self, keyspace: &str, values: u64) {
        self.hits
            .get_or_create(&of_keyspace(keyspace))
            .inc_by(values);
        self.reads.hits.fetch_add(values, Ordering::Relaxed);
    }

    fn miss(&self, keyspace: &str, values: u64) {
        self.misses
            .get_or_create(&of_keyspace(keyspace))
            .inc_by(values);
        self.reads.misses.fetch_add(values, Ordering::Relaxed);
    }

    fn published(&self, channel: &str) {
        self.published.get_or_create(&of_channel(channel)).inc();
    }

    fn consumed(&self, channel: &str) {
        self.consumed.get_or_create(&of_channel(channel)).inc();
    }

    fn processed(&self, channel: &str, took: Duration) {
        self.processing
            .get_or_create(&of_channel(channel))
            .observe(took.as_secs_f64());
    }

    fn event_error(&self, channel: &str, reason: EventFailure, events: u64) {
        let labels = OfFailure {
            channel: channel.to_owned(),
            reason: reason.as_str(),
        };
        self.errors.get_or_create(&labels).inc_by(events);
    }

    fn backlog(&self, channel: &str, backlog: &Backlog) {
        let labels = of_channel(channel);
        self.pending
            .get_or_create(&labels)
            .set(backlog.pending.try_into().unwrap_or(i64::MAX));
        if let Some(waiting) = backlog.waiting {
            self.waiting
                .get_or_create(&labels)
                .set(waiting.try_into().unwrap_or(i64::MAX));
        }
        self.age
            .get_or_create(&labels)
            .set(backlog.age.as_secs_f64());
    }

    #[cfg(feature = "outbox")]
    fn outbox(&self, backlog: &OutboxBacklog) {
        let OfOutbox {
            waiting,
            refused,
            age,
        } = &self.outbox;
        waiting.set(backlog.waiting.try_into().unwrap_or(i64::MAX));
        refused.set(backlog.refused.try_into().unwrap_or(i64::MAX));
        age.set(backlog.age.as_secs_f64());
    }
}

fn of_keyspace(keyspace: &str) -> OfKeyspace {
    OfKeyspace {
        keyspace: keyspace.to_owned(),
    }
}

fn of_channel(channel: &str) -> OfChannel {
    OfChannel {
        channel: channel.to_owned(),
    }
}

#[derive(Debug, Default)]
struct Reads {
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Computed when it is asked for.
#[derive(Debug)]
struct Ratio(Arc<Reads>);

impl Collector for Ratio {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let hits = self.0.hits.load(Ordering::Relaxed);
        let reads = hits + self.0.misses.load(Ordering::Relaxed);
        #[expect(clippy::cast_precision_loss, reason = "it is a ratio")]
        let ratio = if reads > 0 {
            hits as f64 / reads as f64
        } else {
            0.0
        };
        let metric = encoder.encode_descriptor(
            "cache_hit_ratio",
            "Hits of all reads since the start",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(ratio).encode(metric)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn names_are_those_that_the_product_fixes() {
        let mut registry = Registry::default();
        let metrics = PrometheusMetrics::register(&mut registry);
        metrics.hit("agent", 3);
        metrics.miss("agent", 1);
        metrics.published("task:created");
        metrics.consumed("task:created");
        metrics.processed("task:created", Duration::from_millis(4));
        metrics.event_error("task:created", EventFailure::DeadLetter, 2);
        let backlog = Backlog {
            pending: 2,
            waiting: Some(5),
            age: Duration::from_millis(1500),
        };
        metrics.backlog("task:created", &backlog);
        let mut page = String::new();
        encode(&mut page, &registry).unwrap();
        for line in [
            "cache_hits_total{keyspace=\"agent\"} 3",
            "cache_misses_total{keyspace=\"agent\"} 1",
            "cache_hit_ratio 0.75",
            "events_published_total{channel=\"task:created\"} 1",
            "events_consumed_total{channel=\"task:created\"} 1",
            "event_processing_duration_seconds_bucket{le=\"0.005\",channel=\"task:created\"} 1",
            "event_errors_total{channel=\"task:created\",reason=\"dead_letter\"} 2",
            "events_pending{channel=\"task:created\"} 2",
            "events_waiting{channel=\"task:created\"} 5",
            "events_oldest_age_seconds{channel=\"task:created\"} 1.5",
        ] {
            assert!(
                page.lines().any(|written| written == line),
                "{line}\n{page}"
            );
        }
    }
}

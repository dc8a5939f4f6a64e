"""What is counted, as a Prometheus reads it."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from cachebus import Backlog, OutboxBacklog, PrometheusMetrics


def test_names_are_those_that_the_product_fixes() -> None:
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry)
    metrics.hit("agent", 3)
    metrics.miss("agent")
    metrics.published("task:created")
    metrics.consumed("task:created")
    metrics.processed("task:created", 0.004)
    metrics.event_error("task:created", "dead_letter", 2)
    metrics.backlog("task:created", Backlog(pending=2, waiting=5, age=1.5))
    metrics.backlog("task:created", Backlog(pending=3, waiting=None, age=2.5))
    metrics.outbox(OutboxBacklog(waiting=7, age=0.5, refused=1))
    lines = generate_latest(registry).decode().splitlines()
    for line in (
        'cache_hits_total{keyspace="agent"} 3.0',
        'cache_misses_total{keyspace="agent"} 1.0',
        "cache_hit_ratio 0.75",
        'events_published_total{channel="task:created"} 1.0',
        'events_consumed_total{channel="task:created"} 1.0',
        'event_processing_duration_seconds_bucket{channel="task:created",le="0.0025"} 0.0',
        'event_processing_duration_seconds_bucket{channel="task:created",le="0.005"} 1.0',
        'event_errors_total{channel="task:created",reason="dead_letter"} 2.0',
        'events_pending{channel="task:created"} 3.0',
        'events_waiting{channel="task:created"} 5.0',
        'events_oldest_age_seconds{channel="task:created"} 2.5',
        "events_outbox_waiting 7.0",
        "events_outbox_refused 1.0",
        "events_outbox_age_seconds 0.5",
    ):
        assert line in lines

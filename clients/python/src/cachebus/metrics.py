"""Counts under the names that the product fixes. Labels hold names of the contract, never keys or values."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .backlog import Backlog, OutboxBacklog

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

# Seconds: handlers take from less than a millisecond to half a minute.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Counts nothing."""

    def hit(self, keyspace: str, number: int = 1) -> None:
        """``number`` values were in the cache."""

    def miss(self, keyspace: str, number: int = 1) -> None:
        """``number`` values were not."""

    def published(self, channel: str) -> None:
        """An event was emitted; a duplicate was not."""

    def consumed(self, channel: str) -> None:
        """An event was handled."""

    def processed(self, channel: str, seconds: float) -> None:
        """A handler ran for so long."""

    def event_error(self, channel: str, reason: str, number: int = 1) -> None:
        """``handler``, ``dead_letter``, ``invalid``, ``lost``, ``group_lost``, ``gap``, ``publish``, ``connection``,
        ``refused`` (set aside in an outbox)."""

    def backlog(self, channel: str, backlog: Backlog) -> None:
        """What the service's group has yet to do. All its consumers see the same group: look at the greatest."""

    def outbox(self, backlog: OutboxBacklog) -> None:
        """What an outbox holds."""


class PrometheusMetrics(Metrics):
    """For a registry of ``prometheus_client``; one instance for each registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        from prometheus_client import REGISTRY, Counter, Gauge, Histogram

        registry = registry or REGISTRY
        keyspace, channel = ["keyspace"], ["channel"]
        self._hits = Counter("cache_hits_total", "Values found.", keyspace, registry=registry)
        self._misses = Counter("cache_misses_total", "Values missed.", keyspace, registry=registry)
        ratio = Gauge("cache_hit_ratio", "Hits of all reads since the start.", registry=registry)
        ratio.set_function(self._ratio)
        self._published = Counter("events_published_total", "Events emitted.", channel, registry=registry)
        self._consumed = Counter("events_consumed_total", "Events handled.", channel, registry=registry)
        self._duration = Histogram(
            "event_processing_duration_seconds",
            "Time that handlers took.",
            channel,
            registry=registry,
            buckets=BUCKETS,
        )
        self._errors = Counter(
            "event_errors_total",
            "Events that failed, by reason.",
            ["channel", "reason"],
            registry=registry,
        )

        def gauge(name: str, about: str, labels: Sequence[str] = ()) -> Gauge:
            # Processes that share their metrics say the same, but for the time of their last look.
            return Gauge(name, about, labels, registry=registry, multiprocess_mode="livemax")

        self._pending = gauge(
            "events_pending", "Events that the service's consumers have and have not acknowledged.", channel
        )
        self._waiting = gauge("events_waiting", "Events that none of the service's consumers has yet.", channel)
        self._age = gauge(
            "events_oldest_age_seconds", "Age of the oldest event that the service has not acknowledged.", channel
        )
        self._outbox_waiting = gauge("events_outbox_waiting", "Events of the outbox that are yet to be emitted.")
        self._outbox_refused = gauge("events_outbox_refused", "Events of the outbox that cannot be emitted.")
        self._outbox_age = gauge(
            "events_outbox_age_seconds", "Age of the oldest event of the outbox that is yet to be emitted."
        )
        self._lock = threading.Lock()
        self._counted = [0, 0]

    def hit(self, keyspace: str, number: int = 1) -> None:
        self._count(self._hits, keyspace, number, 0)

    def miss(self, keyspace: str, number: int = 1) -> None:
        self._count(self._misses, keyspace, number, 1)

    def published(self, channel: str) -> None:
        self._published.labels(channel).inc()

    def consumed(self, channel: str) -> None:
        self._consumed.labels(channel).inc()

    def processed(self, channel: str, seconds: float) -> None:
        self._duration.labels(channel).observe(seconds)

    def event_error(self, channel: str, reason: str, number: int = 1) -> None:
        self._errors.labels(channel, reason).inc(number)

    def backlog(self, channel: str, backlog: Backlog) -> None:
        self._pending.labels(channel).set(backlog.pending)
        if backlog.waiting is not None:
            self._waiting.labels(channel).set(backlog.waiting)
        self._age.labels(channel).set(backlog.age)

    def outbox(self, backlog: OutboxBacklog) -> None:
        self._outbox_waiting.set(backlog.waiting)
        self._outbox_refused.set(backlog.refused)
        self._outbox_age.set(backlog.age)

    def _count(self, counter: Any, keyspace: str, number: int, place: int) -> None:
        if number:
            counter.labels(keyspace).inc(number)
            with self._lock:
                self._counted[place] += number

    def _ratio(self) -> float:
        hits, misses = self._counted
        return hits / (hits + misses) if hits + misses else 0.0

"""Emitting, history, replay."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
import redis
from prometheus_client import CollectorRegistry

import rights
from cachebus import (
    CacheBus,
    ContractError,
    Denied,
    Event,
    FunctionsMissing,
    Outcome,
    PrometheusMetrics,
    ServerError,
    ValueInvalid,
)
from engines import Server

from .conftest import PATIENT, client

STREAM, HISTORY = "events:task:created:stream", "events:task:created:history"


def test_an_event_is_published_and_kept(bus: CacheBus, worker: redis.Redis, admin: redis.Redis) -> None:
    listener = worker.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("task:created")
    listener.get_message(timeout=5)
    event = bus.events.event("task:created", {"id": 7}, correlation_id="c", user_id="u", version="2.0")
    emitted = bus.events.emit(event)
    assert emitted.outcome is Outcome.EMITTED
    assert emitted.event_id == event.event_id
    assert emitted.receivers == 1
    message = listener.get_message(timeout=5)
    listener.close()
    assert message is not None
    assert json.loads(message["data"]) == {
        "event_id": event.event_id,
        "timestamp": event.timestamp,
        "channel": "task:created",
        "service": "worker",
        "data": {"id": 7},
        "metadata": {"correlation_id": "c", "user_id": "u", "version": "2.0"},
    }
    assert admin.lrange(HISTORY, 0, -1) == [event.encode()]
    fields = {"event_id": event.event_id, "envelope": event.encode()}
    assert admin.xrange(STREAM) == [(emitted.stream_id, fields)]


def test_an_event_counts_once(bus: CacheBus, admin: redis.Redis) -> None:
    event = bus.events.event("task:created", {}, event_id="evt_mine")
    assert (bus.events.emit(event)).outcome is Outcome.EMITTED
    emitted = bus.events.emit(event)
    assert (emitted.outcome, emitted.stream_id) == (Outcome.DUPLICATE, None)
    assert admin.xlen(STREAM) == 1


def test_only_what_the_contract_grants(bus: CacheBus) -> None:
    with pytest.raises(ContractError):
        bus.events.emit(bus.events.event("task:failed", {}))
    with pytest.raises(ContractError):
        bus.events.subscribe("workflow")
    with pytest.raises(ContractError):
        bus.events.dead_letters("agent:updated")


def test_what_is_no_event(bus: CacheBus, admin: redis.Redis) -> None:
    for data in (["no object"], {"x": object()}, {"x": float("inf")}, {"x": "y" * 1_048_576}):
        with pytest.raises(ValueInvalid):
            bus.events.emit(bus.events.event("task:created", data))  # type: ignore[arg-type]
    with pytest.raises(ValueInvalid):
        bus.events.emit(bus.events.event("task:created", {}, event_id="mine"))
    assert admin.dbsize() == 0


def test_a_denial_leaves_nothing(bus: CacheBus, admin: redis.Redis) -> None:
    granted = rights.granted()
    granted["publish"] = granted["publish"].without("&task:created")
    rights.grant(admin, granted)
    with pytest.raises(Denied):
        bus.events.emit(bus.events.event("task:created", {}))
    assert admin.dbsize() == 0


def test_errors_of_the_library_keep_their_code(bus: CacheBus, admin: redis.Redis) -> None:
    admin.set(HISTORY, "x")
    with pytest.raises(ServerError) as raised:
        bus.events.emit(bus.events.event("task:created", {}))
    assert raised.value.code == "WRONGTYPE"


def test_without_the_library(bus: CacheBus, admin: redis.Redis) -> None:
    admin.function_flush()
    with pytest.raises(FunctionsMissing):
        bus.events.emit(bus.events.event("task:created", {}))
    event = bus.events.event("agent:updated", {"id": 7})
    assert (bus.events.emit(event)).outcome is Outcome.EMITTED
    assert admin.lrange("events:agent:updated:history", 0, -1) == [event.encode()]


def test_values_go_with_their_event(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")
    agents.mset([(1, "x"), (2, "y")])
    event = bus.events.event("agent:updated", {"ids": [1, 2]})
    emitted = bus.events.invalidate(agents, [1, 2, 3], event)
    assert (emitted.outcome, emitted.removed) == (Outcome.EMITTED, 2)
    assert admin.keys("agent:*") == []
    assert bus.events.history("agent:updated") == [event]
    assert (bus.events.invalidate(agents, [1], event)).outcome is Outcome.DUPLICATE


def test_history(bus: CacheBus) -> None:
    events = [bus.events.event("agent:updated", {"n": n}) for n in range(5)]
    for event in events:
        bus.events.emit(event)
    assert bus.events.history("agent:updated") == events
    assert bus.events.history("agent:updated", 2) == events[3:]
    assert bus.events.history("agent:updated", 0) == []


def test_replay(bus: CacheBus, admin: redis.Redis) -> None:
    events = [bus.events.event("task:created", {"n": n}) for n in range(250)]
    for number, event in enumerate(events):
        fields = {"event_id": event.event_id, "envelope": event.encode()}
        admin.xadd(STREAM, fields, id=f"{1_700_000_000_000 + number}-0")

    def replayed(**bounds: object) -> list[Event]:
        return [event for event in bus.events.replay("task:created", **bounds)]  # type: ignore[arg-type]

    assert replayed() == events
    start = datetime.fromtimestamp(1_700_000_000, timezone.utc)
    moment = start + timedelta(milliseconds=240)
    assert replayed(since=moment) == events[240:]
    assert replayed(until="1700000000002-0") == events[:3]
    some = replayed(since=moment, until=moment)
    assert [event.stream_id for event in some] == ["1700000000240-0"]
    with pytest.raises(ContractError):
        [event for event in bus.events.replay("agent:updated")]


def test_counts_what_is_published(server: Server, admin: redis.Redis) -> None:
    registry = CollectorRegistry()
    with client(server.port, PATIENT, metrics=PrometheusMetrics(registry)) as bus:
        event = bus.events.event("task:created", {})
        bus.events.emit(event)
        bus.events.emit(event)
        admin.function_flush()
        with pytest.raises(FunctionsMissing):
            bus.events.emit(event)
    channel = {"channel": "task:created"}
    assert registry.get_sample_value("events_published_total", channel) == 1
    assert registry.get_sample_value("event_errors_total", {**channel, "reason": "publish"}) == 1

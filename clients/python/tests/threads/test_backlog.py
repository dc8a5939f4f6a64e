"""What a group has yet to do."""

from __future__ import annotations

import pytest
import redis
from prometheus_client import CollectorRegistry

import rights
from cachebus import CacheBus, ContractError, Event, GroupMissing, PrometheusMetrics
from engines import Server

from .conftest import PATIENT, client
from .handling import STREAM, consumer, emit
from .twins import background, nap, soon


def test_a_backlog_has_a_number_and_an_age(bus: CacheBus, admin: redis.Redis) -> None:
    with pytest.raises(GroupMissing):
        bus.events.backlog("task:created")
    with pytest.raises(ContractError):
        bus.events.backlog("agent:updated")
    emit(bus, 1, 2, 3)
    with pytest.raises(GroupMissing):
        bus.events.backlog("task:created")
    admin.xgroup_create(STREAM, rights.SERVICE, id="0")
    admin.xreadgroup(rights.SERVICE, "there", {STREAM: ">"}, count=1)
    backlog = bus.events.backlog("task:created")
    assert (backlog.pending, backlog.waiting) == (1, 2)
    nap(0.1)
    older = bus.events.backlog("task:created")
    assert backlog.age + 0.05 < older.age < 20


def test_what_is_done_has_no_age(bus: CacheBus, admin: redis.Redis) -> None:
    emit(bus, 1)
    admin.xgroup_create(STREAM, rights.SERVICE, id="0")
    [[_, [[stream_id, _]]]] = admin.xreadgroup(rights.SERVICE, "there", {STREAM: ">"})
    admin.xack(STREAM, rights.SERVICE, stream_id)
    backlog = bus.events.backlog("task:created")
    assert (backlog.pending, backlog.waiting, backlog.age) == (0, 0, 0)


def test_what_the_server_cannot_tell_is_none(bus: CacheBus, admin: redis.Redis) -> None:
    emit(bus, 1, 2, 3)
    admin.xgroup_create(STREAM, rights.SERVICE, id="0")
    admin.xdel(STREAM, admin.xrange(STREAM)[1][0])
    backlog = bus.events.backlog("task:created")
    assert backlog.pending == 0
    assert backlog.waiting is None


def test_a_consumer_tells_the_metrics_of_it(server: Server) -> None:
    registry = CollectorRegistry()
    go_on: list[bool] = []

    def stuck(event: Event) -> None:
        while not go_on:
            nap(0.01)

    def told(name: str) -> float | None:
        return registry.get_sample_value(name, {"channel": "task:created"})

    with client(server.port, PATIENT, metrics=PrometheusMetrics(registry)) as bus:
        emit(bus, 1, 2, 3)
        running = consumer(bus, stuck, batch=2, measure_every=0.05)
        with background(running.run, running.stop):
            soon(lambda: told("events_pending") == 2)
            soon(lambda: told("events_waiting") == 1)
            assert (told("events_oldest_age_seconds") or 0) > 0
            go_on.append(True)
            names = ("events_pending", "events_waiting", "events_oldest_age_seconds")
            soon(lambda: [told(name) for name in names] == [0, 0, 0])

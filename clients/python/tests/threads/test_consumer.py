"""Durable events: at least once, whatever dies."""

from __future__ import annotations

from collections import Counter

import pytest
import redis
from prometheus_client import CollectorRegistry

import rights
from cachebus import CacheBus, Denied, Event, PrometheusMetrics
from engines import Server
from victims import Victim

from .conftest import PATIENT, client
from .handling import DEAD, STREAM, Handled, consumer, emit, pending
from .twins import background, nap, soon


def test_each_event_in_order_and_acknowledged(bus: CacheBus, admin: redis.Redis) -> None:
    emit(bus, *range(50))
    handled = Handled()
    running = consumer(bus, handled.handle)
    with background(running.run, running.stop):
        emit(bus, *range(50, 60))
        soon(lambda: len(handled.events) == 60)
        soon(lambda: pending(admin) == 0)
    assert handled.numbers == list(range(60))
    assert handled.events[0].deliveries == 1
    assert handled.events[0].stream_id == admin.xrange(STREAM)[0][0]


def test_is_acknowledged_after_its_handler(bus: CacheBus, admin: redis.Redis) -> None:
    meanwhile: list[int] = []

    def handle(event: Event) -> None:
        meanwhile.append(pending(admin))

    running = consumer(bus, handle)
    with background(running.run, running.stop):
        emit(bus, 1)
        soon(lambda: meanwhile and pending(admin) == 0)
    assert meanwhile == [1]


def test_only_what_is_new(bus: CacheBus, admin: redis.Redis) -> None:
    emit(bus, 1)
    handled = Handled()
    running = consumer(bus, handled.handle, start="latest")
    with background(running.run, running.stop):
        soon(lambda: admin.exists(STREAM) and admin.xinfo_groups(STREAM))
        emit(bus, 2)
        soon(lambda: handled.events)
    assert handled.numbers == [2]


def test_a_handler_that_fails_is_tried_again(bus: CacheBus, admin: redis.Redis) -> None:
    handled = Handled(fails=2)
    running = consumer(bus, handled.handle)
    with background(running.run, running.stop):
        emit(bus, 1)
        soon(lambda: handled.events)
        soon(lambda: pending(admin) == 0)
    assert admin.exists(DEAD) == 0


def test_events_of_a_dead_consumer_are_claimed(bus: CacheBus, admin: redis.Redis) -> None:
    emit(bus, *range(40))
    admin.xgroup_create(STREAM, rights.SERVICE, id="0")
    admin.xreadgroup(rights.SERVICE, "dead", {STREAM: ">"}, count=35)
    handled = Handled()
    running = consumer(bus, handled.handle)
    with background(running.run, running.stop):
        soon(lambda: len(handled.events) == 40)
        soon(lambda: pending(admin) == 0)
    assert sorted(handled.numbers, key=str) == sorted(range(40), key=str)
    assert {event.deliveries for event in handled.events} == {1, 2}


def test_what_was_left_in_a_former_life_is_finished(bus: CacheBus, admin: redis.Redis) -> None:
    emit(bus, *range(40))
    admin.xgroup_create(STREAM, rights.SERVICE, id="0")
    admin.xreadgroup(rights.SERVICE, "here", {STREAM: ">"}, count=35)
    handled = Handled()
    running = consumer(bus, handled.handle, claim_after=3600.0)
    with background(running.run, running.stop):
        soon(lambda: len(handled.events) == 40)
    assert handled.numbers == list(range(40))


def test_a_slow_handler_keeps_its_events(bus: CacheBus, server: Server, admin: redis.Redis) -> None:
    handled: list[object] = []

    def slow(event: Event) -> None:
        handled.append(event.data["n"])
        nap(1.5)

    other = Handled()
    emit(bus, 1, 2)
    running = consumer(bus, slow, claim_after=0.7)
    with client(server.port, PATIENT) as another, background(running.run, running.stop):
        soon(lambda: handled == [1])
        waiting = consumer(another, other.handle, name="there", claim_after=0.7)
        with background(waiting.run, waiting.stop):
            soon(lambda: handled == [1, 2])
            soon(lambda: pending(admin) == 0)
    assert other.events == []


def test_stopping_gives_back_what_is_not_begun(bus: CacheBus, admin: redis.Redis) -> None:
    emit(bus, *range(10))
    handled: list[object] = []

    def stops(event: Event) -> None:
        handled.append(event.data["n"])
        running.stop()

    running = consumer(bus, stops, claim_after=3600.0)
    running.run()
    assert handled == [0]
    assert pending(admin) == 9
    others = Handled()
    taking = consumer(bus, others.handle, name="there", claim_after=3600.0)
    with background(taking.run, taking.stop):
        soon(lambda: len(others.events) == 9)


def test_a_killed_process_loses_nothing(bus: CacheBus, server: Server, admin: redis.Redis) -> None:
    emit(bus, *range(30))
    with Victim(server.port) as victim:
        victim.await_output()
        victim.kill()
    assert pending(admin) > 0
    handled = Handled()
    running = consumer(bus, handled.handle)
    with background(running.run, running.stop):
        soon(lambda: pending(admin) == 0 and admin.xinfo_groups(STREAM)[0]["lag"] == 0)
    done = Counter(victim.handled() + [str(number) for number in handled.numbers])
    assert set(done) == {str(number) for number in range(30)}
    # All but the one that it died over were acknowledged, or never begun.
    assert sum(done.values()) <= 31


def test_a_restart_loses_nothing(own_server: Server) -> None:
    with client(own_server.port) as bus:
        handled = Handled()
        running = consumer(bus, handled.handle)
        with background(running.run, running.stop):
            emit(bus, *range(10))
            soon(lambda: len(handled.events) >= 5)
            own_server.stop()
            own_server.start()
            emit(bus, *range(10, 20))
            soon(lambda: set(handled.numbers) == set(range(20)))
    assert own_server.admin().xlen(STREAM) == 20


def test_a_lost_stream_is_said_so_and_gone_on_with(server: Server, admin: redis.Redis) -> None:
    registry = CollectorRegistry()
    with client(server.port, PATIENT, metrics=PrometheusMetrics(registry)) as bus:
        handled = Handled()
        running = consumer(bus, handled.handle, start="latest")
        with background(running.run, running.stop):
            soon(lambda: admin.exists(STREAM))
            admin.delete(STREAM)
            emit(bus, 1)
            soon(lambda: handled.events)
    labels = {"channel": "task:created", "reason": "group_lost"}
    assert (registry.get_sample_value("event_errors_total", labels) or 0) >= 1
    assert registry.get_sample_value("events_consumed_total", {"channel": "task:created"}) == 1


@pytest.mark.parametrize("holder", ["here", "dead"])
def test_events_that_were_dropped_are_counted(server: Server, admin: redis.Redis, holder: str) -> None:
    registry = CollectorRegistry()
    with client(server.port, PATIENT, metrics=PrometheusMetrics(registry)) as bus:
        emit(bus, 1, 2, 3)
        admin.xgroup_create(STREAM, rights.SERVICE, id="0")
        admin.xreadgroup(rights.SERVICE, holder, {STREAM: ">"})
        admin.xtrim(STREAM, maxlen=1, approximate=False)
        handled = Handled()
        running = consumer(bus, handled.handle)
        with background(running.run, running.stop):
            soon(lambda: handled.numbers == [3])
    assert admin.exists(DEAD) == 0
    labels = {"channel": "task:created", "reason": "lost"}
    assert registry.get_sample_value("event_errors_total", labels) == 2


def test_a_denial_is_raised(bus: CacheBus, admin: redis.Redis) -> None:
    granted = rights.granted()
    granted["consume"] = granted["consume"].without("+xreadgroup")
    rights.grant(admin, granted)
    with pytest.raises(Denied):
        consumer(bus, Handled().handle).run()


def test_counts_and_times(server: Server) -> None:
    registry = CollectorRegistry()
    with client(server.port, PATIENT, metrics=PrometheusMetrics(registry)) as bus:
        handled = Handled(fails=4)
        running = consumer(bus, handled.handle)
        with background(running.run, running.stop):
            emit(bus, 1, 2)
            soon(lambda: handled.events)
    channel = {"channel": "task:created"}
    count = registry.get_sample_value("event_processing_duration_seconds_count", channel)
    assert count == 5
    assert registry.get_sample_value("event_errors_total", {**channel, "reason": "handler"}) == 4
    assert registry.get_sample_value("event_errors_total", {**channel, "reason": "dead_letter"}) == 1
    assert registry.get_sample_value("events_consumed_total", channel) == 1

"""Events that are written in a transaction of PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from psycopg.rows import dict_row

import contracts
from cachebus import CacheBus, ContractError, DatabaseRefused, Event, Outbox, PrometheusMetrics, RelayOptions, Settings
from engines import Server
from postgres import Postgres

from .conftest import PATIENT, client
from .twins import background, fixture, nap, soon

OPTIONS = RelayOptions(batch=7, poll_every=0.1, measure_every=0.05)


@fixture
def database(conninfo: str) -> Iterator[psycopg.Connection[Any]]:
    # Rows of the application's own kind.
    with psycopg.Connection.connect(conninfo, row_factory=dict_row) as database:
        yield database


def made(bus: CacheBus, database: psycopg.Connection[Any]) -> Outbox:
    outbox = bus.events.outbox("public.task_outbox")
    # Again it changes nothing.
    for _ in range(2):
        database.execute(outbox.ddl())
    database.commit()
    return outbox


def numbered(bus: CacheBus, number: int) -> Event:
    return bus.events.event("task:created", {"n": number})


def add(bus: CacheBus, outbox: Outbox, database: psycopg.Connection[Any], numbers: Iterable[int]) -> None:
    for number in numbers:
        assert outbox.add(database, numbered(bus, number))
        database.commit()


def emitted(bus: CacheBus) -> list[int]:
    return [event.data["n"] for event in bus.events.replay("task:created")]


def until_emitted(bus: CacheBus, numbers: Iterable[int]) -> None:
    wanted = list(numbers)
    for _ in range(300):
        if len(emitted(bus)) >= len(wanted):
            break
        nap(0.1)
    assert emitted(bus) == wanted


def until_empty(outbox: Outbox, database: psycopg.Connection[Any]) -> None:
    for _ in range(300):
        backlog = outbox.backlog(database)
        database.commit()
        if backlog.waiting == 0:
            return
        nap(0.1)
    raise AssertionError("it is not empty")


def test_what_is_committed_is_emitted_in_order_and_the_rest_never(
    bus: CacheBus, conninfo: str, database: psycopg.Connection[Any]
) -> None:
    outbox = made(bus, database)
    add(bus, outbox, database, range(20))
    assert outbox.add(database, numbered(bus, 99))
    database.rollback()
    relay, second = outbox.relay(conninfo, OPTIONS), outbox.relay(conninfo, OPTIONS)
    with background(second.run, second.stop):
        with background(relay.run, relay.stop):
            add(bus, outbox, database, range(20, 60))
            until_emitted(bus, range(60))
            until_empty(outbox, database)
        # Another goes on.
        add(bus, outbox, database, range(60, 70))
        until_emitted(bus, range(70))


def test_an_event_needs_a_transaction(bus: CacheBus, conninfo: str, database: psycopg.Connection[Any]) -> None:
    outbox = made(bus, database)
    database.set_autocommit(True)
    with pytest.raises(ContractError):
        outbox.add(database, numbered(bus, 0))
    with database.transaction():
        assert outbox.add(database, numbered(bus, 0))
    backlog = outbox.backlog(database)
    assert (backlog.waiting, backlog.refused) == (1, 0)
    assert backlog.age > 0


def test_one_that_is_emitted_again_counts_once(bus: CacheBus, conninfo: str, database: psycopg.Connection[Any]) -> None:
    outbox = made(bus, database)
    event = numbered(bus, 0)
    assert outbox.add(database, event)
    assert not outbox.add(database, event)
    database.commit()
    # As by a relay that died before it could remove the event.
    bus.events.emit(event)
    relay = outbox.relay(conninfo, OPTIONS)
    with background(relay.run, relay.stop):
        until_empty(outbox, database)
    assert emitted(bus) == [0]


def test_a_commit_wakes_the_relay(bus: CacheBus, conninfo: str, database: psycopg.Connection[Any]) -> None:
    outbox = made(bus, database)
    relay = outbox.relay(conninfo, RelayOptions(poll_every=3600.0))
    with background(relay.run, relay.stop):
        for number in range(3):
            add(bus, outbox, database, [number])
            until_emitted(bus, range(number + 1))


def test_a_bus_and_a_database_that_are_away_are_waited_for(
    own_server: Server, shared_postgres: Postgres, conninfo: str
) -> None:
    impatient = Settings(connect_timeout=0.3, command_timeout=0.3, deadline=0.5)
    with (
        client(own_server.port, PATIENT) as bus,
        client(own_server.port, impatient) as short,
        psycopg.Connection.connect(conninfo) as database,
    ):
        outbox = made(short, database)
        own_server.freeze()
        relay = outbox.relay(conninfo, OPTIONS)
        with background(relay.run, relay.stop):
            add(short, outbox, database, range(10))
            nap(1.0)
            backlog = outbox.backlog(database)
            database.commit()
            assert backlog.waiting == 10
            assert backlog.age > 0.9
            own_server.thaw()
            until_emitted(bus, range(10))
            shared_postgres.crash_and_return()
            with psycopg.Connection.connect(conninfo) as again:
                add(short, outbox, again, range(10, 20))
            until_emitted(bus, range(20))


def test_what_can_never_be_emitted_is_set_aside(
    bus: CacheBus, server: Server, conninfo: str, database: psycopg.Connection[Any]
) -> None:
    narrow = contracts.document()
    narrow["events"]["publish"] = [contracts.channel("task:created", consumer=False)]
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry)
    with client(server.port, PATIENT, json.dumps(narrow), metrics=metrics) as less:
        outbox, before = made(less, database), bus.events.outbox("public.task_outbox")
        event = bus.events.event("agent:updated", {})
        with pytest.raises(ContractError):
            outbox.add(database, event)
        assert before.add(database, event)
        add(less, outbox, database, range(3))
        relay = outbox.relay(conninfo, OPTIONS)
        with background(relay.run, relay.stop):
            until_emitted(bus, range(3))
            soon(lambda: registry.get_sample_value("events_outbox_refused") == 1)
    labels = {"channel": "agent:updated", "reason": "refused"}
    assert registry.get_sample_value("event_errors_total", labels) == 1
    assert (outbox.backlog(database)).refused == 1
    assert outbox.retry_refused(database) == 1
    database.commit()
    relay = before.relay(conninfo, OPTIONS)
    with background(relay.run, relay.stop):
        until_empty(outbox, database)
    assert bus.events.history("agent:updated") == [event]


def test_events_wait_while_they_are_switched_off(
    bus: CacheBus, server: Server, conninfo: str, database: psycopg.Connection[Any]
) -> None:
    off = contracts.document()
    off["events"]["enabled"] = False
    with client(server.port, PATIENT, json.dumps(off)) as silent:
        outbox = made(silent, database)
        add(silent, outbox, database, range(3))
        relay = outbox.relay(conninfo, OPTIONS)
        with background(relay.run, relay.stop):
            nap(0.5)
        assert (outbox.backlog(database)).waiting == 3
        database.commit()
    assert emitted(bus) == []
    relay = bus.events.outbox("public.task_outbox").relay(conninfo, OPTIONS)
    with background(relay.run, relay.stop):
        until_emitted(bus, range(3))


def test_a_table_that_is_not_there_is_an_error(bus: CacheBus, conninfo: str) -> None:
    relay = bus.events.outbox("nobody_made_it").relay(conninfo)
    with pytest.raises(DatabaseRefused) as raised:
        relay.run()
    assert raised.value.code == "42P01"


def test_what_no_database_is_called_by(bus: CacheBus) -> None:
    with pytest.raises(ContractError) as raised:
        bus.events.outbox("task_outbox").relay("password=hunter2 what")
    assert "hunter2" not in str(raised.value)

"""Events that are written in a transaction of PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import psycopg
import pytest
from prometheus_client import CollectorRegistry
from psycopg.rows import dict_row

import contracts
from cachebus import ContractError, DatabaseRefused, Event, PrometheusMetrics, RelayOptions, Settings
from cachebus.aio import CacheBus, Outbox
from engines import Server
from postgres import Postgres

from .conftest import PATIENT, client
from .twins import background, fixture, nap, soon

OPTIONS = RelayOptions(batch=7, poll_every=0.1, measure_every=0.05)


@fixture
async def database(conninfo: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    # Rows of the application's own kind.
    async with await psycopg.AsyncConnection.connect(conninfo, row_factory=dict_row) as database:
        yield database


async def made(bus: CacheBus, database: psycopg.AsyncConnection[Any]) -> Outbox:
    outbox = bus.events.outbox("public.task_outbox")
    # Again it changes nothing.
    for _ in range(2):
        await database.execute(outbox.ddl())
    await database.commit()
    return outbox


def numbered(bus: CacheBus, number: int) -> Event:
    return bus.events.event("task:created", {"n": number})


async def add(bus: CacheBus, outbox: Outbox, database: psycopg.AsyncConnection[Any], numbers: Iterable[int]) -> None:
    for number in numbers:
        assert await outbox.add(database, numbered(bus, number))
        await database.commit()


async def emitted(bus: CacheBus) -> list[int]:
    return [event.data["n"] async for event in bus.events.replay("task:created")]


async def until_emitted(bus: CacheBus, numbers: Iterable[int]) -> None:
    wanted = list(numbers)
    for _ in range(300):
        if len(await emitted(bus)) >= len(wanted):
            break
        await nap(0.1)
    assert await emitted(bus) == wanted


async def until_empty(outbox: Outbox, database: psycopg.AsyncConnection[Any]) -> None:
    for _ in range(300):
        backlog = await outbox.backlog(database)
        await database.commit()
        if backlog.waiting == 0:
            return
        await nap(0.1)
    raise AssertionError("it is not empty")


async def test_what_is_committed_is_emitted_in_order_and_the_rest_never(
    bus: CacheBus, conninfo: str, database: psycopg.AsyncConnection[Any]
) -> None:
    outbox = await made(bus, database)
    await add(bus, outbox, database, range(20))
    assert await outbox.add(database, numbered(bus, 99))
    await database.rollback()
    relay, second = outbox.relay(conninfo, OPTIONS), outbox.relay(conninfo, OPTIONS)
    async with background(second.run, second.stop):
        async with background(relay.run, relay.stop):
            await add(bus, outbox, database, range(20, 60))
            await until_emitted(bus, range(60))
            await until_empty(outbox, database)
        # Another goes on.
        await add(bus, outbox, database, range(60, 70))
        await until_emitted(bus, range(70))


async def test_an_event_needs_a_transaction(
    bus: CacheBus, conninfo: str, database: psycopg.AsyncConnection[Any]
) -> None:
    outbox = await made(bus, database)
    await database.set_autocommit(True)
    with pytest.raises(ContractError):
        await outbox.add(database, numbered(bus, 0))
    async with database.transaction():
        assert await outbox.add(database, numbered(bus, 0))
    backlog = await outbox.backlog(database)
    assert (backlog.waiting, backlog.refused) == (1, 0)
    assert backlog.age > 0


async def test_one_that_is_emitted_again_counts_once(
    bus: CacheBus, conninfo: str, database: psycopg.AsyncConnection[Any]
) -> None:
    outbox = await made(bus, database)
    event = numbered(bus, 0)
    assert await outbox.add(database, event)
    assert not await outbox.add(database, event)
    await database.commit()
    # As by a relay that died before it could remove the event.
    await bus.events.emit(event)
    relay = outbox.relay(conninfo, OPTIONS)
    async with background(relay.run, relay.stop):
        await until_empty(outbox, database)
    assert await emitted(bus) == [0]


async def test_a_commit_wakes_the_relay(bus: CacheBus, conninfo: str, database: psycopg.AsyncConnection[Any]) -> None:
    outbox = await made(bus, database)
    relay = outbox.relay(conninfo, RelayOptions(poll_every=3600.0))
    async with background(relay.run, relay.stop):
        for number in range(3):
            await add(bus, outbox, database, [number])
            await until_emitted(bus, range(number + 1))


async def test_a_bus_and_a_database_that_are_away_are_waited_for(
    own_server: Server, shared_postgres: Postgres, conninfo: str
) -> None:
    impatient = Settings(connect_timeout=0.3, command_timeout=0.3, deadline=0.5)
    async with (
        client(own_server.port, PATIENT) as bus,
        client(own_server.port, impatient) as short,
        await psycopg.AsyncConnection.connect(conninfo) as database,
    ):
        outbox = await made(short, database)
        own_server.freeze()
        relay = outbox.relay(conninfo, OPTIONS)
        async with background(relay.run, relay.stop):
            await add(short, outbox, database, range(10))
            await nap(1.0)
            backlog = await outbox.backlog(database)
            await database.commit()
            assert backlog.waiting == 10
            assert backlog.age > 0.9
            own_server.thaw()
            await until_emitted(bus, range(10))
            shared_postgres.crash_and_return()
            async with await psycopg.AsyncConnection.connect(conninfo) as again:
                await add(short, outbox, again, range(10, 20))
            await until_emitted(bus, range(20))


async def test_what_can_never_be_emitted_is_set_aside(
    bus: CacheBus, server: Server, conninfo: str, database: psycopg.AsyncConnection[Any]
) -> None:
    narrow = contracts.document()
    narrow["events"]["publish"] = [contracts.channel("task:created", consumer=False)]
    registry = CollectorRegistry()
    metrics = PrometheusMetrics(registry)
    async with client(server.port, PATIENT, json.dumps(narrow), metrics=metrics) as less:
        outbox, before = await made(less, database), bus.events.outbox("public.task_outbox")
        event = bus.events.event("agent:updated", {})
        with pytest.raises(ContractError):
            await outbox.add(database, event)
        assert await before.add(database, event)
        await add(less, outbox, database, range(3))
        relay = outbox.relay(conninfo, OPTIONS)
        async with background(relay.run, relay.stop):
            await until_emitted(bus, range(3))
            await soon(lambda: registry.get_sample_value("events_outbox_refused") == 1)
    labels = {"channel": "agent:updated", "reason": "refused"}
    assert registry.get_sample_value("event_errors_total", labels) == 1
    assert (await outbox.backlog(database)).refused == 1
    assert await outbox.retry_refused(database) == 1
    await database.commit()
    relay = before.relay(conninfo, OPTIONS)
    async with background(relay.run, relay.stop):
        await until_empty(outbox, database)
    assert await bus.events.history("agent:updated") == [event]


async def test_events_wait_while_they_are_switched_off(
    bus: CacheBus, server: Server, conninfo: str, database: psycopg.AsyncConnection[Any]
) -> None:
    off = contracts.document()
    off["events"]["enabled"] = False
    async with client(server.port, PATIENT, json.dumps(off)) as silent:
        outbox = await made(silent, database)
        await add(silent, outbox, database, range(3))
        relay = outbox.relay(conninfo, OPTIONS)
        async with background(relay.run, relay.stop):
            await nap(0.5)
        assert (await outbox.backlog(database)).waiting == 3
        await database.commit()
    assert await emitted(bus) == []
    relay = bus.events.outbox("public.task_outbox").relay(conninfo, OPTIONS)
    async with background(relay.run, relay.stop):
        await until_emitted(bus, range(3))


async def test_a_table_that_is_not_there_is_an_error(bus: CacheBus, conninfo: str) -> None:
    relay = bus.events.outbox("nobody_made_it").relay(conninfo)
    with pytest.raises(DatabaseRefused) as raised:
        await relay.run()
    assert raised.value.code == "42P01"


async def test_what_no_database_is_called_by(bus: CacheBus) -> None:
    with pytest.raises(ContractError) as raised:
        bus.events.outbox("task_outbox").relay("password=hunter2 what")
    assert "hunter2" not in str(raised.value)

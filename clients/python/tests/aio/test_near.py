"""Values near at hand, and what makes them go."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
import redis

import rights
from cachebus import CacheBusError, ContractError, Near
from cachebus.aio import CacheBus, Keyspace
from engines import Server

from .conftest import PATIENT, client
from .twins import background, nap

# What is held stays longer than any test, unless something makes it go.
NEAR = Near(1 << 20, max_age=600)


@pytest.fixture
def tracking(server: Server, admin: redis.Redis) -> None:
    """The right to hear of every change."""
    rights.grant(admin, rights.granted(), "+client|tracking")


def agents(bus: CacheBus, near: Near = NEAR, **options: Any) -> Keyspace[Any]:
    return bus.cache.keyspace("agent", near=near, **options)


def reads(admin: redis.Redis) -> int:
    """How often values were read from the server."""
    statistics: Any = admin.info("commandstats")
    return int(statistics.get("cmdstat_get", {}).get("calls", 0))


async def hold(keyspace: Keyspace[Any], admin: redis.Redis, part: int = 7) -> None:
    """Reads until the answer comes from memory."""
    deadline = time.monotonic() + 30
    while True:
        assert await keyspace.get(part) is not None
        before = reads(admin)
        assert await keyspace.get(part) is not None
        if reads(admin) == before:
            return
        assert time.monotonic() < deadline
        await nap(0.02)


async def becomes(keyspace: Keyspace[Any], value: object, part: int = 7) -> None:
    deadline = time.monotonic() + 30
    while await keyspace.get(part) != value:
        assert time.monotonic() < deadline, f"not {value}"
        await nap(0.01)


@pytest.mark.usefixtures("tracking")
async def test_whatever_changes_a_tracked_value_is_seen(bus: CacheBus, admin: redis.Redis) -> None:
    keyspace = agents(bus)
    admin.set("agent:7", '"a"')
    await hold(keyspace, admin)
    admin.set("agent:7", '"b"')
    await becomes(keyspace, "b")
    await hold(keyspace, admin)
    admin.delete("agent:7")
    await becomes(keyspace, None)
    for change in (admin.flushall, lambda: admin.pexpire("agent:7", 50)):
        admin.set("agent:7", '"c"')
        await hold(keyspace, admin)
        change()
        await becomes(keyspace, None)


@pytest.mark.usefixtures("tracking")
async def test_what_the_process_itself_writes_is_seen_at_once(bus: CacheBus, admin: redis.Redis) -> None:
    keyspace = agents(bus)
    for number in range(20):
        await keyspace.set(7, number)
        assert await keyspace.get(7) == number
        await hold(keyspace, admin)
    assert await keyspace.delete(7) == 1
    assert await keyspace.get(7) is None

    async def load() -> str:
        return "loaded"

    assert await keyspace.get_or_load(7, load) == "loaded"
    await hold(keyspace, admin)
    await keyspace.warm([(7, "warm")], replace=True)
    assert await keyspace.get(7) == "warm"


async def test_what_the_process_itself_invalidates_is_gone_at_once(bus: CacheBus, admin: redis.Redis) -> None:
    # It does not hear of the event.
    keyspace = agents(bus, dataclasses.replace(NEAR, invalidated_by=["task"]))
    await keyspace.set(7, "a")
    await hold(keyspace, admin)
    emitted = await bus.events.invalidate(keyspace, [7], bus.events.event("agent:updated", {"id": 7}))
    assert emitted.removed == 1
    assert await keyspace.get(7) is None


@pytest.mark.usefixtures("tracking")
async def test_what_is_held_is_as_old_as_it_is_on_the_server(bus: CacheBus, admin: redis.Redis) -> None:
    keyspace = agents(bus, dataclasses.replace(NEAR, max_age=30), stale_for=60)
    await keyspace.set(7, "a")
    await hold(keyspace, admin)
    loads: list[int] = []

    async def load() -> str:
        loads.append(1)
        return "b"

    # Less is left until it is read again than a stale value has, and yet it is fresh.
    for _ in range(5):
        assert await keyspace.get_or_refresh(7, load) == "a"
        await nap(0.01)
    assert not loads
    admin.pexpire("agent:7", 50_000)
    deadline = time.monotonic() + 30
    while await keyspace.get_or_refresh(7, load) != "b":
        assert time.monotonic() < deadline
        await nap(0.01)


@pytest.mark.usefixtures("tracking")
async def test_a_lost_connection_drops_everything(bus: CacheBus, admin: redis.Redis) -> None:
    keyspace = agents(bus, dataclasses.replace(NEAR, staleness=600))
    await keyspace.set(7, "a")
    await hold(keyspace, admin)
    admin.execute_command("CLIENT", "KILL", "USER", rights.SERVICE)
    admin.set("agent:7", '"b"')
    await becomes(keyspace, "b")
    await hold(keyspace, admin)


async def test_a_server_that_says_nothing_is_not_taken_for_unchanged(own_server: Server) -> None:
    admin = own_server.admin()
    rights.grant(admin, rights.granted(), "+client|tracking")
    settings = dataclasses.replace(PATIENT, connect_timeout=0.5, command_timeout=0.5, deadline=1.0)
    async with client(own_server.port, settings) as bus:
        staleness = 3.0
        keyspace = agents(bus, dataclasses.replace(NEAR, staleness=staleness))
        await keyspace.set(7, "a")
        await hold(keyspace, admin)
        own_server.freeze()
        try:
            begun = time.monotonic()
            assert await keyspace.get(7) == "a"
            problem: CacheBusError | None = None
            while problem is None:
                # One attempt at the server after the bound, on a machine that has other things to do.
                assert time.monotonic() < begun + staleness + 15
                try:
                    assert await keyspace.get(7) == "a"
                except CacheBusError as error:
                    problem = error
                await nap(0.02)
            assert problem.retryable
        finally:
            own_server.thaw()
        await becomes(keyspace, "a")


async def test_without_tracking_events_drop_what_they_mean(bus: CacheBus, server: Server, admin: redis.Redis) -> None:
    keyspace = agents(bus, dataclasses.replace(NEAR, invalidated_by=["agent"]))
    async with client(server.port) as other:
        plain: Keyspace[str] = other.cache.keyspace("agent")
        for part in (7, 8):
            await plain.set(part, "a")
            await hold(keyspace, admin, part)
            admin.set(f"agent:{part}", '"b"')
        await other.events.emit(other.events.event("agent:updated", {"id": 7}))
        await becomes(keyspace, "b")
        assert await keyspace.get(8) == "a"
        await other.events.emit(other.events.event("agent:updated", {"name": "which does not say of whom"}))
        await becomes(keyspace, "b", 8)
        await hold(keyspace, admin, 8)
        await other.events.invalidate(plain, [8], other.events.event("agent:updated", {"id": 8}))
        await becomes(keyspace, None, 8)


async def test_what_nobody_tells_of_is_held_no_longer_than_allowed(bus: CacheBus, admin: redis.Redis) -> None:
    keyspace = agents(bus, dataclasses.replace(NEAR, invalidated_by="agent:updated", max_age=1))
    await keyspace.set(7, "a")
    await hold(keyspace, admin)
    admin.set("agent:7", '"b"')
    await becomes(keyspace, "b")


async def test_without_anything_that_tells_of_changes_nothing_is_held(bus: CacheBus, admin: redis.Redis) -> None:
    keyspace = agents(bus)
    for number in range(50):
        admin.set("agent:7", number)
        assert await keyspace.get(7) == number
        await nap(0.005)
    with pytest.raises(ContractError):
        agents(bus, dataclasses.replace(NEAR, invalidated_by=["unknown"]))


@pytest.mark.usefixtures("tracking")
async def test_no_answer_is_older_than_the_bound(bus: CacheBus, admin: redis.Redis) -> None:
    bound = 2.0
    keyspace = agents(bus, dataclasses.replace(NEAR, staleness=bound))
    admin.set("agent:7", 0)
    written = [(time.monotonic(), 0)]
    stopped: list[int] = []

    async def read() -> None:
        while not stopped:
            asked = time.monotonic()
            try:
                value = await keyspace.get(7)
            except CacheBusError:
                continue
            oldest = max(number for when, number in list(written) if number == 0 or when + bound < asked)
            assert value >= oldest, f"{value} is older than {oldest}"
            await nap(0.001)

    async with background(read, lambda: stopped.append(1)):
        for number in range(1, 200):
            if number % 50 == 0:
                admin.execute_command("CLIENT", "KILL", "USER", rights.SERVICE)
            admin.set("agent:7", number)
            written.append((time.monotonic(), number))
            await nap(0.01)
        await becomes(keyspace, 199)

"""Cached values compared with those of the database."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

import contracts
import rights
from cachebus import Consistency, Denied
from cachebus.aio import CacheBus, Keyspace
from engines import Server

from .conftest import PATIENT, client
from .twins import nap

DATABASE: dict[str, Any] = {str(number): {"id": number, "tags": ("a", "b")} for number in range(20)}


async def load(parts: Any) -> Any:
    return DATABASE.get(str(parts))


async def test_says_what_is_what(bus: CacheBus, admin: redis.Redis) -> None:
    agents: Keyspace[Any] = bus.cache.keyspace("agent", remember_absent=60)
    # The database's tuples are read as lists, and are the same value.
    await agents.mset((number, DATABASE[str(number)]) for number in range(10))
    await agents.set(10, {"id": 10, "tags": ["secret"]})
    admin.pexpire("agent:10", 3_500_000)
    admin.set("agent:11", '"for good"')
    admin.set("agent:12", "no value")
    admin.set("agent:13", "null", px=60_000)
    admin.set("agent:99", "null", px=60_000)
    among = [*range(20), 99]
    report = await agents.check_consistency(load, among=among, settle=0)
    assert (report.sampled, report.missing, report.equal) == (21, 6, 11)
    assert (report.stale, report.different, report.invalid) == (2, 1, 1)
    assert 3_530 <= report.oldest <= 3_541
    assert sorted(report.examples) == ["agent:10", "agent:11", "agent:12", "agent:13"]
    assert not report.consistent
    assert "secret" not in repr(report)
    assert "agent" not in repr(report)


async def test_what_is_put_right_meanwhile_is_not_wrong(bus: CacheBus) -> None:
    agents: Keyspace[Any] = bus.cache.keyspace("agent")
    await agents.set(1, "old")
    looks: list[object] = []

    async def writes(parts: Any) -> Any:
        looks.append(parts)
        if len(looks) == 1:
            # Its invalidation comes a moment later.
            return "new"
        await agents.set(1, "new")
        return "new"

    report = await agents.check_consistency(writes, among=[1], settle=0.05)
    assert report.stale == 1
    report = await agents.check_consistency(writes, among=[1], settle=0.05)
    assert report == Consistency(sampled=1, equal=1)
    assert report.consistent
    assert looks == [1, 1, 1]


async def test_samples_what_is_cached_with_a_right_of_its_own(bus: CacheBus, admin: redis.Redis) -> None:
    agents: Keyspace[Any] = bus.cache.keyspace("agent")
    with pytest.raises(Denied):
        await agents.check_consistency(load)
    rights.grant(admin, rights.granted(), "+scan")
    await agents.mset((number, DATABASE[str(number)]) for number in range(20))
    admin.set("agent:1:of-another", "x")
    assert await agents.check_consistency(load) == Consistency(sampled=20, equal=20)
    assert await agents.check_consistency(load, sample=5) == Consistency(sampled=5, equal=5)
    await agents.set("gone", "x")
    report = await agents.check_consistency(load, settle=0.01)
    assert (report.sampled, report.stale, report.examples) == (21, 1, ("agent:gone",))


async def test_a_key_without_parts_needs_no_choice(bus: CacheBus) -> None:
    everything: Keyspace[Any] = bus.cache.keyspace("agent_list")

    async def all_of_them(parts: Any) -> Any:
        assert parts is None
        return [1, 2]

    assert await everything.check_consistency(all_of_them) == Consistency(sampled=1, missing=1)
    await everything.set(None, [1, 2])
    assert await everything.check_consistency(all_of_them) == Consistency(sampled=1, equal=1)


async def test_so_many_loads_run_at_the_same_time(bus: CacheBus) -> None:
    agents: Keyspace[Any] = bus.cache.keyspace("agent")
    await agents.mset((number, number) for number in range(20))
    running: list[int] = []
    most: list[int] = []

    async def slow(parts: Any) -> Any:
        running.append(1)
        most.append(len(running))
        await nap(0.02)
        running.pop()
        return parts

    report = await agents.check_consistency(slow, among=range(20), at_once=3)
    assert report == Consistency(sampled=20, equal=20)
    assert max(most) == 3


async def test_errors_of_the_database_are_the_callers(bus: CacheBus) -> None:
    agents: Keyspace[Any] = bus.cache.keyspace("agent")
    await agents.set(1, 1)

    async def fail(parts: Any) -> Any:
        raise LookupError("no database")

    with pytest.raises(LookupError):
        await agents.check_consistency(fail, among=[1, 2])


async def test_a_cache_that_is_off_is_not_asked(server: Server) -> None:
    document = contracts.document()
    document["cache"]["enabled"] = False
    async with client(server.port, PATIENT, json.dumps(document)) as bus:
        agents: Keyspace[Any] = bus.cache.keyspace("agent")
        assert await agents.check_consistency(load, among=[1]) == Consistency()

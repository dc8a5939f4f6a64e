"""Filling a keyspace from what yields its values."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis

import contracts
from cachebus import CacheBus, Denied, Entry, Keyspace, Warmed
from engines import Server

from .conftest import PATIENT, client


def rows(number: int, taken: list[int] | None = None) -> Iterator[tuple[int, int]]:
    for row in range(number):
        if taken is not None:
            taken.append(row)
        yield row, row


def test_it_is_stored_and_tells_how_far_it_is(bus: CacheBus, admin: redis.Redis) -> None:
    agents: Keyspace[int] = bus.cache.keyspace("agent")
    agents.set(7, 0)
    steps: list[Warmed] = []
    assert agents.warm(rows(2200), progress=steps.append) == Warmed(2199, 1, 0)
    assert len(steps) == 5
    told = [step.stored + step.present for step in steps]
    assert told == sorted(told)
    assert steps[-1] == Warmed(2199, 1, 0)
    assert agents.mget([7, 2199]) == [0, 2199]

    entries = (Entry(row, row, ttl=60) for row in range(2200))
    assert agents.warm(entries, replace=True) == Warmed(2200, 0, 0)
    assert agents.get(7) == 7
    assert 0 < admin.pttl("agent:7") <= 60_000


def test_no_more_is_asked_for_than_is_on_its_way(bus: CacheBus) -> None:
    agents: Keyspace[int] = bus.cache.keyspace("agent")
    taken: list[int] = []
    ahead: list[int] = []
    warmed = agents.warm(
        rows(10_000, taken), at_once=2, progress=lambda so_far: ahead.append(len(taken) - so_far.stored)
    )
    assert warmed == Warmed(10_000)
    assert max(ahead) <= 3 * 500


def test_large_values_travel_in_small_batches(bus: CacheBus) -> None:
    agents: Keyspace[str] = bus.cache.keyspace("agent")
    steps: list[Warmed] = []
    large = "x" * 600_000
    agents.warm(((number, large) for number in range(6)), progress=steps.append)
    assert [step.stored for step in steps] == [2, 4, 6]


def test_what_is_no_value_is_left_out(bus: CacheBus) -> None:
    small: Keyspace[str] = bus.cache.keyspace("agent", max_bytes=10)
    entries = [("a", "a"), ("b", "much too long"), ("c:c", "c"), ("d", "d")]
    assert small.warm(entries) == Warmed(2, 0, 2)
    assert small.mget(["a", "d"]) == ["a", "d"]


def test_what_fails_ends_it(bus: CacheBus) -> None:
    agents: Keyspace[int] = bus.cache.keyspace("agent")

    def broken() -> Iterator[tuple[int, int]]:
        for row in range(1200):
            yield row, row
        raise LookupError("the database is gone")

    with pytest.raises(LookupError):
        agents.warm(broken(), at_once=1)
    assert agents.get(0) == 0
    metrics: Keyspace[int] = bus.cache.keyspace("metrics")
    with pytest.raises(Denied):
        metrics.warm([({"service": "api", "name": "p99"}, 1)])


def test_a_cache_that_is_off_asks_for_nothing(server: Server) -> None:
    document = contracts.document()
    document["cache"]["enabled"] = False
    taken: list[int] = []
    with client(server.port, PATIENT, json.dumps(document)) as bus:
        agents: Keyspace[int] = bus.cache.keyspace("agent")
        assert agents.warm(rows(10, taken)) == Warmed()
    assert not taken

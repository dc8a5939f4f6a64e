"""One load of all processes."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from cachebus import CacheBus, ContractError, Keyspace, LoadOnce
from cachebus._sync.primitives import Flag
from engines import Server

from .conftest import client
from .twins import nap, soon, together

ONCE = LoadOnce("lock", wait=15)
LOCK = "lock:agent%3A7"


def agents(bus: CacheBus, once: LoadOnce = ONCE, **options: Any) -> Keyspace[str]:
    return bus.cache.keyspace("agent", load_once=once, **options)


def test_one_process_of_all_loads(server: Server, admin: redis.Redis) -> None:
    fleet = [client(server.port) for _ in range(5)]
    keyspaces = iter([agents(bus) for bus in fleet])
    loads: list[int] = []

    def load() -> str:
        loads.append(1)
        assert admin.exists(LOCK)
        nap(0.3)
        return "a"

    def get() -> str | None:
        return next(keyspaces).get_or_load(7, load)

    assert together(5, get) == ["a"] * 5
    assert len(loads) == 1
    soon(lambda: not admin.exists(LOCK))
    for bus in fleet:
        bus.close()


def test_another_takes_over_from_one_that_fails(server: Server, admin: redis.Redis) -> None:
    begun = Flag()
    turns = iter(["fails", "loads"])
    with client(server.port) as one, client(server.port) as two:
        keyspaces = {"fails": agents(one), "loads": agents(two)}

        def fail() -> str:
            begun.set()
            nap(0.1)
            raise LookupError("no database")

        def load() -> str:
            return "b"

        def get() -> str | None:
            turn = next(turns)
            if turn == "loads":
                assert begun.wait(30)
                return keyspaces[turn].get_or_load(7, load)
            with pytest.raises(LookupError):
                keyspaces[turn].get_or_load(7, fail)
            return None

        assert sorted(map(str, together(2, get))) == ["None", "b"]
    soon(lambda: not admin.exists(LOCK))


def test_who_has_waited_long_enough_loads(bus: CacheBus, admin: redis.Redis) -> None:
    admin.set(LOCK, "of one that died")
    begun = time.monotonic()

    def load() -> str:
        return "a"

    assert agents(bus, LoadOnce("lock", wait=0.3)).get_or_load(7, load) == "a"
    assert 0.05 <= time.monotonic() - begun < ONCE.wait
    # The other's lock is left alone.
    assert admin.get(LOCK) == "of one that died"
    assert agents(bus).get(7) == "a"


def test_a_load_in_the_background_is_left_to_another(bus: CacheBus, admin: redis.Redis) -> None:
    keyspace = agents(bus, stale_for=36_000)
    admin.set("agent:7", '"old"', px=60_000)
    admin.set(LOCK, "of another")
    loads: list[int] = []

    def load() -> str:
        loads.append(1)
        return "new"

    for _ in range(10):
        assert keyspace.get_or_refresh(7, load) == "old"
        nap(0.01)
    assert not loads
    admin.delete(LOCK)
    deadline = time.monotonic() + 30
    while keyspace.get_or_refresh(7, load) != "new":
        assert time.monotonic() < deadline
        nap(0.01)
    assert len(loads) == 1
    soon(lambda: not admin.exists(LOCK))


def test_what_another_has_stored_needs_no_load(bus: CacheBus, admin: redis.Redis) -> None:
    admin.set(LOCK, "of another")
    keyspace = agents(bus, remember_absent=60)
    asked = Flag()

    def tell() -> str:
        nap(0.2)
        admin.set("agent:7", "null", px=60_000)
        asked.set()
        return "told"

    def load() -> str:
        raise AssertionError("it is not asked")

    turns = iter([tell, lambda: keyspace.get_or_load(7, load)])

    def one() -> str | None:
        call: Any = next(turns)
        return call()  # type: ignore[no-any-return]

    assert sorted(map(str, together(2, one))) == ["None", "told"]
    assert asked.is_set()


def test_loads_are_claimed_in_a_keyspace_of_locks(bus: CacheBus) -> None:
    for name in ("agent", "unknown"):
        with pytest.raises(ContractError):
            agents(bus, LoadOnce(name))


def test_a_server_without_functions_loads_all_the_same(bus: CacheBus, admin: redis.Redis) -> None:
    admin.function_flush()

    def load() -> str:
        return "a"

    assert agents(bus).get_or_load(7, load) == "a"
    assert agents(bus).get(7) == "a"
    # It runs out by itself.
    assert 0 < admin.pttl(LOCK) <= 30_000

"""Values that are loaded again while they answer."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis

from cachebus import CacheBus, Keyspace
from cachebus._sync.primitives import Flag

from .twins import nap, soon, together

WINDOW = 600.0


class Database:
    """Loads a value, and says how often it did."""

    def __init__(self, value: object = "new", *, fails: bool = False) -> None:
        self.value = value
        self.fails = fails
        self.loads = 0
        self.begun = Flag()
        self.open = Flag()

    def load(self) -> Any:
        self.loads += 1
        if self.fails:
            raise LookupError("no database")
        return self.value

    def slow(self) -> Any:
        self.begun.set()
        self.open.wait(30)
        return self.load()


def stale(agents: Keyspace[str], admin: redis.Redis) -> None:
    """Has the keyspace hold a value beyond its time."""
    agents.set(7, "old")
    assert admin.pexpire("agent:7", round(WINDOW * 1000))


def is_stored(agents: Keyspace[str], value: str | None) -> None:
    deadline = time.monotonic() + 30
    while agents.get(7) != value:
        assert time.monotonic() < deadline
        nap(0.01)


def test_a_stale_value_answers_while_one_load_runs(bus: CacheBus, admin: redis.Redis) -> None:
    agents: Keyspace[str] = bus.cache.keyspace("agent", stale_for=WINDOW)
    agents.set(7, "old")
    assert admin.get("agent:7") == '"old"'
    assert 4_190_000 < admin.pttl("agent:7") <= 4_200_000
    stale(agents, admin)
    database = Database()
    for _ in range(3):
        assert together(20, lambda: agents.get_or_refresh(7, database.slow)) == ["old"] * 20
    database.open.set()
    is_stored(agents, "new")
    assert agents.get_or_refresh(7, database.load) == "new"
    assert database.loads == 1
    assert admin.pttl("agent:7") > 4_190_000


def test_a_ripe_value_answers_and_is_loaded_ahead(bus: CacheBus, admin: redis.Redis) -> None:
    agents: Keyspace[str] = bus.cache.keyspace("agent", refresh_early=0.5)
    database = Database()
    agents.set(7, "old")
    for _ in range(20):
        assert agents.get_or_refresh(7, database.load) == "old"
    assert database.loads == 0
    admin.pexpire("agent:7", 20_000)
    deadline = time.monotonic() + 30
    while agents.get_or_refresh(7, database.load) != "new":
        assert time.monotonic() < deadline
        nap(0.01)
    assert admin.pttl("agent:7") > 3_590_000
    admin.pexpire("agent:7", 20_000)
    # Who waits for loads is not made to wait for one ahead of its time.
    assert agents.get_or_load(7, Database(fails=True).load) == "new"


def test_what_was_removed_while_it_was_loaded_is_not_put_back(bus: CacheBus, admin: redis.Redis) -> None:
    agents: Keyspace[str] = bus.cache.keyspace("agent", stale_for=WINDOW)
    stale(agents, admin)
    database = Database("from before the removal")
    assert agents.get_or_refresh(7, database.slow) == "old"
    assert database.begun.wait(30)
    agents.delete(7)
    database.open.set()
    nap(0.2)
    assert database.loads == 1
    assert agents.get(7) is None


def test_that_there_is_nothing_any_more_ends_a_value(bus: CacheBus, admin: redis.Redis) -> None:
    agents: Keyspace[str] = bus.cache.keyspace("agent", stale_for=WINDOW)
    stale(agents, admin)
    assert agents.get_or_refresh(7, Database(None).load) == "old"
    is_stored(agents, None)
    assert not admin.exists("agent:7")
    remembering: Keyspace[str] = bus.cache.keyspace("agent", stale_for=WINDOW, remember_absent=60)
    assert remembering.get_or_refresh(7, Database(None).load) is None
    assert admin.get("agent:7") == "null"
    # It has less than the window to live, and is not stale for that.
    assert remembering.get_or_refresh(7, Database("not asked").load) is None


def test_that_there_is_nothing_is_remembered_by_choice(bus: CacheBus, admin: redis.Redis) -> None:
    plain: Keyspace[str] = bus.cache.keyspace("agent")
    remembering: Keyspace[str] = bus.cache.keyspace("agent", remember_absent=60)
    database = Database(None)
    for _ in range(2):
        assert plain.get_or_load(7, database.load) is None
    assert database.loads == 2
    for _ in range(3):
        assert remembering.get_or_load(7, database.load) is None
    assert database.loads == 3
    assert 0 < admin.pttl("agent:7") <= 60_000
    # Others do not take it for a value.
    assert plain.get(7) is None
    assert plain.mget([7, 8]) == [None, None]
    assert plain.get_or_load(7, Database("a").load) == "a"


def test_a_loader_that_fails_leaves_the_stale_value(bus: CacheBus, admin: redis.Redis) -> None:
    agents: Keyspace[str] = bus.cache.keyspace("agent", stale_for=WINDOW)
    stale(agents, admin)
    failing = Database(fails=True)
    begun = time.monotonic()
    for _ in range(20):
        assert agents.get_or_refresh(7, failing.load) == "old"
        nap(0.005)
    soon(lambda: failing.loads)
    assert failing.loads <= 1 + time.monotonic() - begun, "it is left alone for a while"
    # Who waits for the load is answered with what there is.
    assert agents.get_or_load(7, failing.load) == "old"
    assert agents.get_or_load(7, Database().load) == "new"
    with pytest.raises(LookupError):
        agents.get_or_load(8, failing.load)


def test_values_of_clients_without_a_window_are_read(bus: CacheBus, admin: redis.Redis) -> None:
    plain: Keyspace[str] = bus.cache.keyspace("agent")
    agents: Keyspace[str] = bus.cache.keyspace("agent", stale_for=WINDOW)
    database = Database()
    plain.set(7, "of another")
    assert agents.get_or_refresh(7, database.load) == "of another"
    admin.set("agent:7", '"by hand"')
    assert agents.get_or_refresh(7, database.load) == "by hand"
    admin.pexpire("agent:7", round(WINDOW * 1000))
    assert plain.get(7) == "by hand"
    assert agents.get_or_refresh(7, database.load) == "by hand"
    is_stored(plain, "new")


def test_lives_differ_by_choice(bus: CacheBus, admin: redis.Redis) -> None:
    agents: Keyspace[str] = bus.cache.keyspace("agent", ttl=100, ttl_jitter=0.5)
    lives = set()
    for _ in range(20):
        agents.set(7, "a")
        lives.add(admin.pttl("agent:7") // 1000)
    assert min(lives) >= 45
    assert max(lives) <= 100
    assert len(lives) > 1


def test_decorated_functions_run_in_the_background(bus: CacheBus, admin: redis.Redis) -> None:
    calls: list[str] = []

    @bus.cache.cached("agent", key=lambda agent: agent, stale_for=WINDOW)
    def name(agent: str) -> str:
        calls.append(agent)
        return "new"

    admin.set("agent:7", '"old"', px=60_000)
    assert name("7") == "old"
    soon(lambda: admin.get("agent:7") == '"new"')
    assert name("7") == "new"
    assert calls == ["7"]

    made: Keyspace[str] = bus.cache.keyspace("agent", stale_for=WINDOW)

    @bus.cache.cached(made, refresh=False)
    def waited(id: int) -> str:
        return "waited for"

    admin.set("agent:8", '"old"', px=60_000)
    assert waited(8) == "waited for"
    with pytest.raises(TypeError):
        bus.cache.cached(made, stale_for=1)  # type: ignore[call-overload]

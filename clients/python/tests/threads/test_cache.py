"""Values of keyspaces."""

from __future__ import annotations

import json
import pickle
import time
from typing import Any

import pytest
import redis
from prometheus_client import CollectorRegistry

import contracts
import rights
from cachebus import (
    CacheBus,
    ContractError,
    Denied,
    KeyInvalid,
    PrometheusMetrics,
    Settings,
    Unavailable,
    ValueInvalid,
    ValueTooLarge,
)
from engines import Server

from .conftest import PATIENT, client
from .twins import nap, together

AGENT = {"id": 7, "name": "Zoë", "tags": ["a", None, 1.5]}


def test_values_come_back(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")
    assert agents.get(7) is None
    agents.set(7, AGENT)
    assert agents.get("7") == AGENT
    assert agents.exists(7)
    assert json.loads(admin.get("agent:7") or "") == AGENT


def test_a_keyspace_without_parts(bus: CacheBus) -> None:
    agents = bus.cache.keyspace("agent_list")
    agents.set(None, [1, 2])
    assert agents.get() == [1, 2]
    assert agents.delete() == 1
    assert agents.get() is None


def test_values_live_as_long_as_the_contract_says(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")
    agents.set(1, AGENT)
    agents.set(2, AGENT, ttl=1.5)
    agents.mset([(3, AGENT)])
    assert 3_590_000 < admin.pttl("agent:1") <= 3_600_000
    assert 0 < admin.pttl("agent:2") <= 1_500
    assert 3_590_000 < admin.pttl("agent:3") <= 3_600_000


def test_many_at_once(bus: CacheBus) -> None:
    agents = bus.cache.keyspace("agent")
    agents.mset((number, {"id": number}) for number in range(1200))
    assert agents.mget([5, "none", 1199]) == [{"id": 5}, None, {"id": 1199}]
    assert agents.mget([]) == []
    assert agents.delete(*range(1200)) == 1200


def test_forms(bus: CacheBus, admin: redis.Redis) -> None:
    plain = bus.cache.keyspace("agent")
    packed: Any = bus.cache.keyspace("agent", format="msgpack", compress_above=100)
    long = {"text": "x" * 1000}
    packed.mset([(1, AGENT), (2, long)])
    assert plain.mget([1, 2]) == [AGENT, long]
    assert admin.strlen("agent:2") < 100


def test_own_types(bus: CacheBus) -> None:
    agents = bus.cache.keyspace(
        "agent", encode=lambda value: [value.real, value.imag], decode=lambda pair: complex(*pair)
    )
    agents.set(1, 1 + 2j)
    assert agents.get(1) == 1 + 2j


def test_refuses_what_is_no_value(bus: CacheBus, admin: redis.Redis) -> None:
    agents: Any = bus.cache.keyspace("agent", max_bytes=100)
    for value in (None, object(), float("nan"), {"x": {1}}):
        with pytest.raises(ValueInvalid):
            agents.set(1, value)
    with pytest.raises(ValueTooLarge):
        agents.set(1, "x" * 100)
    assert admin.dbsize() == 0


def test_refuses_what_is_no_key(bus: CacheBus) -> None:
    agents: Any = bus.cache.keyspace("agent")
    for parts in ("", "a:b", None, {"id": ""}, {"other": 1}, {"id": 1, "more": 2}, 1.5, True, "x" * 1100):
        with pytest.raises(KeyInvalid):
            agents.get(parts)
    with pytest.raises(KeyInvalid):
        bus.cache.keyspace("metrics").get("x")


def test_a_wrong_keyspace_is_an_error_at_the_start(bus: CacheBus) -> None:
    for name in ("session", "lock"):
        with pytest.raises(ContractError):
            bus.cache.keyspace(name)


def test_what_is_not_granted_is_denied(bus: CacheBus) -> None:
    parts = {"service": "x", "name": "y"}
    metrics = bus.cache.keyspace("metrics")
    assert metrics.get(parts) is None
    with pytest.raises(Denied):
        metrics.set(parts, 1)


def test_foreign_bytes_are_no_value(bus: CacheBus, admin: redis.Redis) -> None:
    admin.set("agent:1", pickle.dumps(AGENT))
    agents = bus.cache.keyspace("agent")
    with pytest.raises(ValueInvalid):
        agents.get(1)

    def load() -> dict[str, int]:
        return {"id": 1}

    assert agents.get_or_load(1, load) == {"id": 1}
    assert agents.get(1) == {"id": 1}


def test_deletion_by_pattern_needs_a_right_of_its_own(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")
    with pytest.raises(Denied):
        agents.delete_matching()
    rights.grant(admin, rights.granted(), "+scan")
    agents.mset((number, number) for number in range(1, 1500))
    admin.mset({"agent:1:more": "of another", "agents:all": "of another"})
    assert agents.delete_matching("1?") == 10
    assert agents.delete_matching() == 1489
    assert sorted(admin.keys()) == ["agent:1:more", "agents:all"]


def test_concurrent_misses_cause_one_load(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")
    loads = []

    def load() -> dict[str, int]:
        loads.append(1)
        nap(0.2)
        return {"id": 7}

    assert together(40, lambda: agents.get_or_load(7, load)) == [{"id": 7}] * 40
    assert len(loads) == 1
    assert agents.get_or_load(7, load) == {"id": 7}
    assert len(loads) == 1
    admin.flushall()
    agents.get_or_load(7, load)
    assert len(loads) == 2


def test_errors_of_a_loader_are_the_callers(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")

    def fail() -> None:
        raise LookupError("no such agent")

    def nothing() -> None:
        return None

    with pytest.raises(LookupError):
        agents.get_or_load(7, fail)
    assert agents.get_or_load(7, nothing) is None
    assert admin.dbsize() == 0


@pytest.mark.parametrize("off", ["setting", "contract"])
def test_a_cache_that_is_off(server: Server, admin: redis.Redis, off: str) -> None:
    document = contracts.document()
    document["cache"]["enabled"] = off != "contract"
    settings = Settings(use_cache=off != "setting")
    with client(server.port, settings, json.dumps(document)) as bus:
        agents = bus.cache.keyspace("agent")
        admin.set("agent:1", "1")
        loads = []

        def load() -> int:
            loads.append(1)
            return 2

        agents.set(2, 3)
        assert agents.get(1) is None
        assert not agents.exists(1)
        assert [agents.get_or_load(1, load) for _ in range(2)] == [2, 2]
        assert len(loads) == 2
        assert admin.keys() == ["agent:1"]
        # Others may use it: what is not true any more is removed nevertheless.
        assert agents.delete(1) == 1


def test_use_cache_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_environment().use_cache
    monkeypatch.setenv("USE_CACHE", "False")
    assert not Settings.from_environment().use_cache


def test_a_server_that_is_gone_costs_little(own_server: Server) -> None:
    settings = Settings(connect_timeout=0.3, command_timeout=0.3, breaker_pause=0.3)
    with client(own_server.port, settings) as bus:
        agents = bus.cache.keyspace("agent")
        agents.set(1, "cached")
        own_server.stop()

        def load() -> str:
            return "loaded"

        begun = time.monotonic()
        assert agents.get_or_load(1, load) == "loaded"
        assert time.monotonic() - begun < 1.0
        for _ in range(3):
            agents.get_or_load(1, load)
        begun = time.monotonic()
        for _ in range(20):
            assert agents.get_or_load(1, load) == "loaded"
        assert time.monotonic() - begun < 0.5
        with pytest.raises(Unavailable):
            agents.get(1)
        own_server.start()

        def back() -> bool:
            return agents.get_or_load(1, load) == "cached"

        deadline = time.monotonic() + 10
        while not back():
            assert time.monotonic() < deadline
            nap(0.05)


def test_a_frozen_server_costs_little(own_server: Server) -> None:
    settings = Settings(connect_timeout=0.3, command_timeout=0.3)
    with client(own_server.port, settings) as bus:
        agents = bus.cache.keyspace("agent")
        agents.set(1, "cached")
        own_server.freeze()
        try:

            def load() -> str:
                return "loaded"

            begun = time.monotonic()
            assert agents.get_or_load(1, load) == "loaded"
            assert time.monotonic() - begun < 1.5
        finally:
            own_server.thaw()


def test_counts_hits_and_misses(server: Server) -> None:
    registry = CollectorRegistry()
    with client(server.port, PATIENT, metrics=PrometheusMetrics(registry)) as bus:
        agents = bus.cache.keyspace("agent")
        agents.set(1, 1)
        agents.mget([1, 2, 3])
        agents.get(1)
    labels = {"keyspace": "agent"}
    assert registry.get_sample_value("cache_hits_total", labels) == 2
    assert registry.get_sample_value("cache_misses_total", labels) == 2
    assert registry.get_sample_value("cache_hit_ratio") == 0.5


def test_decorated_functions(bus: CacheBus) -> None:
    calls: list[object] = []

    @bus.cache.cached("agent")
    def agent(id: int, verbose: bool = False) -> dict[str, int]:
        """Loads one."""
        calls.append(id)
        return {"id": id}

    assert (agent.__name__, agent.__doc__) == ("agent", "Loads one.")
    assert agent(7) == {"id": 7}
    assert agent(id=7, verbose=True) == {"id": 7}
    assert calls == [7]
    assert agent.invalidate(7)
    assert not agent.invalidate(7)
    agent(7)
    assert calls == [7, 7]
    with pytest.raises(ContractError):

        @bus.cache.cached("agent")
        def wrong(name: str) -> None: ...


def test_waits_for_a_free_connection(server: Server) -> None:
    with client(server.port, Settings(max_connections=2)) as bus:
        agents = bus.cache.keyspace("agent")
        agents.set(1, 1)
        assert together(20, lambda: agents.get(1)) == [1] * 20
    with pytest.raises(Unavailable):
        agents.get(1)

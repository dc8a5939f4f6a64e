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
    ContractError,
    Denied,
    KeyInvalid,
    PrometheusMetrics,
    Settings,
    Unavailable,
    ValueInvalid,
    ValueTooLarge,
)
from cachebus.aio import CacheBus
from engines import Server

from .conftest import PATIENT, client
from .twins import nap, together

AGENT = {"id": 7, "name": "Zoë", "tags": ["a", None, 1.5]}


async def test_values_come_back(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")
    assert await agents.get(7) is None
    await agents.set(7, AGENT)
    assert await agents.get("7") == AGENT
    assert await agents.exists(7)
    assert json.loads(admin.get("agent:7") or "") == AGENT


async def test_a_keyspace_without_parts(bus: CacheBus) -> None:
    agents = bus.cache.keyspace("agent_list")
    await agents.set(None, [1, 2])
    assert await agents.get() == [1, 2]
    assert await agents.delete() == 1
    assert await agents.get() is None


async def test_values_live_as_long_as_the_contract_says(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")
    await agents.set(1, AGENT)
    await agents.set(2, AGENT, ttl=1.5)
    await agents.mset([(3, AGENT)])
    assert 3_590_000 < admin.pttl("agent:1") <= 3_600_000
    assert 0 < admin.pttl("agent:2") <= 1_500
    assert 3_590_000 < admin.pttl("agent:3") <= 3_600_000


async def test_many_at_once(bus: CacheBus) -> None:
    agents = bus.cache.keyspace("agent")
    await agents.mset((number, {"id": number}) for number in range(1200))
    assert await agents.mget([5, "none", 1199]) == [{"id": 5}, None, {"id": 1199}]
    assert await agents.mget([]) == []
    assert await agents.delete(*range(1200)) == 1200


async def test_forms(bus: CacheBus, admin: redis.Redis) -> None:
    plain = bus.cache.keyspace("agent")
    packed: Any = bus.cache.keyspace("agent", format="msgpack", compress_above=100)
    long = {"text": "x" * 1000}
    await packed.mset([(1, AGENT), (2, long)])
    assert await plain.mget([1, 2]) == [AGENT, long]
    assert admin.strlen("agent:2") < 100


async def test_own_types(bus: CacheBus) -> None:
    agents = bus.cache.keyspace(
        "agent", encode=lambda value: [value.real, value.imag], decode=lambda pair: complex(*pair)
    )
    await agents.set(1, 1 + 2j)
    assert await agents.get(1) == 1 + 2j


async def test_refuses_what_is_no_value(bus: CacheBus, admin: redis.Redis) -> None:
    agents: Any = bus.cache.keyspace("agent", max_bytes=100)
    for value in (None, object(), float("nan"), {"x": {1}}):
        with pytest.raises(ValueInvalid):
            await agents.set(1, value)
    with pytest.raises(ValueTooLarge):
        await agents.set(1, "x" * 100)
    assert admin.dbsize() == 0


async def test_refuses_what_is_no_key(bus: CacheBus) -> None:
    agents: Any = bus.cache.keyspace("agent")
    for parts in ("", "a:b", None, {"id": ""}, {"other": 1}, {"id": 1, "more": 2}, 1.5, True, "x" * 1100):
        with pytest.raises(KeyInvalid):
            await agents.get(parts)
    with pytest.raises(KeyInvalid):
        await bus.cache.keyspace("metrics").get("x")


async def test_a_wrong_keyspace_is_an_error_at_the_start(bus: CacheBus) -> None:
    for name in ("session", "lock"):
        with pytest.raises(ContractError):
            bus.cache.keyspace(name)


async def test_what_is_not_granted_is_denied(bus: CacheBus) -> None:
    parts = {"service": "x", "name": "y"}
    metrics = bus.cache.keyspace("metrics")
    assert await metrics.get(parts) is None
    with pytest.raises(Denied):
        await metrics.set(parts, 1)


async def test_foreign_bytes_are_no_value(bus: CacheBus, admin: redis.Redis) -> None:
    admin.set("agent:1", pickle.dumps(AGENT))
    agents = bus.cache.keyspace("agent")
    with pytest.raises(ValueInvalid):
        await agents.get(1)

    async def load() -> dict[str, int]:
        return {"id": 1}

    assert await agents.get_or_load(1, load) == {"id": 1}
    assert await agents.get(1) == {"id": 1}


async def test_deletion_by_pattern_needs_a_right_of_its_own(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")
    with pytest.raises(Denied):
        await agents.delete_matching()
    rights.grant(admin, rights.granted(), "+scan")
    await agents.mset((number, number) for number in range(1, 1500))
    admin.mset({"agent:1:more": "of another", "agents:all": "of another"})
    assert await agents.delete_matching("1?") == 10
    assert await agents.delete_matching() == 1489
    assert sorted(admin.keys()) == ["agent:1:more", "agents:all"]


async def test_concurrent_misses_cause_one_load(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")
    loads = []

    async def load() -> dict[str, int]:
        loads.append(1)
        await nap(0.2)
        return {"id": 7}

    assert await together(40, lambda: agents.get_or_load(7, load)) == [{"id": 7}] * 40
    assert len(loads) == 1
    assert await agents.get_or_load(7, load) == {"id": 7}
    assert len(loads) == 1
    admin.flushall()
    await agents.get_or_load(7, load)
    assert len(loads) == 2


async def test_errors_of_a_loader_are_the_callers(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")

    async def fail() -> None:
        raise LookupError("no such agent")

    async def nothing() -> None:
        return None

    with pytest.raises(LookupError):
        await agents.get_or_load(7, fail)
    assert await agents.get_or_load(7, nothing) is None
    assert admin.dbsize() == 0


@pytest.mark.parametrize("off", ["setting", "contract"])
async def test_a_cache_that_is_off(server: Server, admin: redis.Redis, off: str) -> None:
    document = contracts.document()
    document["cache"]["enabled"] = off != "contract"
    settings = Settings(use_cache=off != "setting")
    async with client(server.port, settings, json.dumps(document)) as bus:
        agents = bus.cache.keyspace("agent")
        admin.set("agent:1", "1")
        loads = []

        async def load() -> int:
            loads.append(1)
            return 2

        await agents.set(2, 3)
        assert await agents.get(1) is None
        assert not await agents.exists(1)
        assert [await agents.get_or_load(1, load) for _ in range(2)] == [2, 2]
        assert len(loads) == 2
        assert admin.keys() == ["agent:1"]
        # Others may use it: what is not true any more is removed nevertheless.
        assert await agents.delete(1) == 1


def test_use_cache_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings.from_environment().use_cache
    monkeypatch.setenv("USE_CACHE", "False")
    assert not Settings.from_environment().use_cache


async def test_a_server_that_is_gone_costs_little(own_server: Server) -> None:
    settings = Settings(connect_timeout=0.3, command_timeout=0.3, breaker_pause=0.3)
    async with client(own_server.port, settings) as bus:
        agents = bus.cache.keyspace("agent")
        await agents.set(1, "cached")
        own_server.stop()

        async def load() -> str:
            return "loaded"

        begun = time.monotonic()
        assert await agents.get_or_load(1, load) == "loaded"
        assert time.monotonic() - begun < 1.0
        for _ in range(3):
            await agents.get_or_load(1, load)
        begun = time.monotonic()
        for _ in range(20):
            assert await agents.get_or_load(1, load) == "loaded"
        assert time.monotonic() - begun < 0.5
        with pytest.raises(Unavailable):
            await agents.get(1)
        own_server.start()

        async def back() -> bool:
            return await agents.get_or_load(1, load) == "cached"

        deadline = time.monotonic() + 10
        while not await back():
            assert time.monotonic() < deadline
            await nap(0.05)


async def test_a_frozen_server_costs_little(own_server: Server) -> None:
    settings = Settings(connect_timeout=0.3, command_timeout=0.3)
    async with client(own_server.port, settings) as bus:
        agents = bus.cache.keyspace("agent")
        await agents.set(1, "cached")
        own_server.freeze()
        try:

            async def load() -> str:
                return "loaded"

            begun = time.monotonic()
            assert await agents.get_or_load(1, load) == "loaded"
            assert time.monotonic() - begun < 1.5
        finally:
            own_server.thaw()


async def test_counts_hits_and_misses(server: Server) -> None:
    registry = CollectorRegistry()
    async with client(server.port, PATIENT, metrics=PrometheusMetrics(registry)) as bus:
        agents = bus.cache.keyspace("agent")
        await agents.set(1, 1)
        await agents.mget([1, 2, 3])
        await agents.get(1)
    labels = {"keyspace": "agent"}
    assert registry.get_sample_value("cache_hits_total", labels) == 2
    assert registry.get_sample_value("cache_misses_total", labels) == 2
    assert registry.get_sample_value("cache_hit_ratio") == 0.5


async def test_decorated_functions(bus: CacheBus) -> None:
    calls: list[object] = []

    @bus.cache.cached("agent")
    async def agent(id: int, verbose: bool = False) -> dict[str, int]:
        """Loads one."""
        calls.append(id)
        return {"id": id}

    assert (agent.__name__, agent.__doc__) == ("agent", "Loads one.")
    assert await agent(7) == {"id": 7}
    assert await agent(id=7, verbose=True) == {"id": 7}
    assert calls == [7]
    assert await agent.invalidate(7)
    assert not await agent.invalidate(7)
    await agent(7)
    assert calls == [7, 7]
    with pytest.raises(ContractError):

        @bus.cache.cached("agent")
        async def wrong(name: str) -> None: ...


async def test_waits_for_a_free_connection(server: Server) -> None:
    async with client(server.port, Settings(max_connections=2)) as bus:
        agents = bus.cache.keyspace("agent")
        await agents.set(1, 1)
        assert await together(20, lambda: agents.get(1)) == [1] * 20
    with pytest.raises(Unavailable):
        await agents.get(1)

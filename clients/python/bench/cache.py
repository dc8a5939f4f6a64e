"""Values that are there, and one that is missing: read by the client, and by whatever else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import redis.asyncio
from aiocache import RedisCache, cached
from cashews import Cache

from cachebus.aio import CacheBus

from .place import CONNECTIONS, HOST, Place
from .rounds import Contender, Load, Slice, compare, looping, threading_
from .summary import Figure, Row
from .work import KEYSPACE, TTL, VALUES, agent, key

# What ours is to be of plain redis-py.
AIM = 0.9
SLICE = 0.4
# Reads at once of one value that is missing, and the seconds that its load takes.
CALLERS = 1000
LOAD = 0.05

Value = dict[str, Any]


async def gets(place: Place, rounds: int) -> list[Figure]:
    """One read after the other, and many at once."""
    figures = []
    async with place.bus() as bus, place.raw() as raw, RedisCache(**_aiocache(place)) as of_aiocache:
        agents = bus.cache.keyspace(KEYSPACE)
        await agents.mset((id, agent(id)) for id in range(VALUES))
        of_cashews = _cashews(place)
        for id in range(VALUES):
            await of_aiocache.set(f"aiocache:{id}", agent(id), ttl=TTL)
            await of_cashews.set(f"cashews:{id}", agent(id), expire=TTL)

        async def by_hand(id: int) -> Value:
            return json.loads(await raw.get(key(id)))

        contenders = [
            looping("cachebus.aio", agents.get),
            looping("redis-py, decoded", by_hand, aim=AIM),
            looping("aiocache, JSON", lambda id: of_aiocache.get(f"aiocache:{id}")),
            looping("cashews, pickle", lambda id: of_cashews.get(f"cashews:{id}")),
        ]
        for at_once in (1, 50):
            rows = await compare(contenders, Load(at_once, SLICE, rounds))
            figures.append(Figure(f"Python: get, asyncio, {at_once} at a time", "calls/s", rows))
        await of_cashews.close()
    return figures


async def gets_of_threads(place: Place, rounds: int) -> list[Figure]:
    """The same in threads."""
    figures = []
    with place.bus_of_threads() as bus, place.raw_of_threads() as raw:
        agents = bus.cache.keyspace(KEYSPACE)
        contenders = [
            threading_("cachebus", agents.get),
            threading_("redis-py, decoded", lambda id: json.loads(raw.get(key(id))), aim=AIM),
        ]
        for at_once in (1, 8):
            rows = await compare(contenders, Load(at_once, SLICE, rounds))
            figures.append(Figure(f"Python: get, {at_once} threads", "calls/s", rows))
    return figures


class Readers:
    """Functions that are read through each cache; ``loads`` counts how often they ran."""

    def __init__(self, place: Place, bus: CacheBus, raw: redis.asyncio.Redis) -> None:
        self.loads = 0
        self.cashews = _cashews(place)
        options = {"ttl": TTL, "cache": RedisCache, "key_builder": lambda _, id: f"aiocache:{id}"}
        self.aiocache = cached(**options, **_aiocache(place))(self._load)
        self._raw = raw
        self.all: dict[str, Callable[[int], Awaitable[Value | None]]] = {
            "cachebus.aio, @cached": bus.cache.cached(KEYSPACE)(self._load),
            "redis-py, by hand": self._by_hand,
            "aiocache, @cached": self.aiocache,
            "cashews, @cache": self.cashews(ttl=TTL, key="cashews:{id}")(_named(self._load)),
        }

    def counting(self, who: str, loaded: dict[str, int]) -> Contender:
        """The reader as a contender; ``loaded`` counts what it loads."""
        contender = looping(who, self.all[who])

        async def play(load: Load) -> Slice:
            before = self.loads
            played = await contender.play(load)
            loaded[who] += self.loads - before
            return played

        return replace(contender, play=play)

    async def _load(self, id: int) -> Value | None:
        self.loads += 1
        await asyncio.sleep(LOAD)
        return agent(id)

    async def _by_hand(self, id: int) -> Value | None:
        stored = await self._raw.get(key(id))
        if stored is not None:
            found: Value = json.loads(stored)
            return found
        loaded = await self._load(id)
        await self._raw.set(key(id), json.dumps(loaded), ex=TTL)
        return loaded


def _named(load: Callable[[int], Awaitable[Value | None]]) -> Callable[..., Awaitable[Value | None]]:
    """A function with a parameter of this name, of which a key is made."""

    async def of_id(id: int) -> Value | None:
        return await load(id)

    return of_id


async def read_through(place: Place, rounds: int) -> list[Figure]:
    """Functions whose values are there, and one whose value is missing for all that ask at once."""
    async with place.bus() as bus, place.raw() as raw:
        readers = Readers(place, bus, raw)
        missing = []
        for who, read in readers.all.items():
            await bus.cache.keyspace(KEYSPACE).delete(VALUES)
            readers.loads = 0
            await asyncio.gather(*(read(VALUES) for _ in range(CALLERS)))
            row = Row(who, readers.loads)
            if not missing:
                row.aim, row.met = "1", readers.loads == 1
            missing.append(row)
        loaded = dict.fromkeys(readers.all, 0)
        contenders = [readers.counting(who, loaded) for who in readers.all]
        for read in readers.all.values():
            for first in range(0, VALUES, CONNECTIONS):
                await asyncio.gather(*(read(id) for id in range(first, first + CONNECTIONS)))
        there = await compare(contenders, Load(50, SLICE, rounds))
        if any(loaded.values()):
            raise RuntimeError(f"values were not there, or did not come in time, and were loaded: {loaded}")
        await readers.cashews.close()
        await readers.aiocache.cache.close()
    return [
        Figure("Python: read-through, on the server, 50 at a time", "calls/s", there),
        Figure(f"Python: {CALLERS} reads at once of a value that is missing", "loads", missing),
    ]


def _aiocache(place: Place) -> dict[str, Any]:
    """Options of its cache on Redis, which stores JSON."""
    return {
        "endpoint": HOST,
        "port": place.tls_port,
        "pool_max_size": CONNECTIONS,
        "ssl": True,
        "connection_pool_kwargs": {"ssl_ca_certs": str(place.ca)},
    }


def _cashews(place: Place) -> Cache:
    cache = Cache()
    cache.setup(place.url(), ssl_ca_certs=str(place.ca), max_connections=CONNECTIONS)
    return cache

"""What connections hold of this process's memory."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import Any

from .place import CONNECTIONS, Place
from .rounds import growing
from .summary import Figure, compared
from .work import KEYSPACE, key


async def connections(place: Place) -> Figure:
    """As many as a client has at most, open."""
    async with place.bus() as bus, place.raw() as raw:
        agents = bus.cache.keyspace(KEYSPACE)
        ours = await _held(lambda: agents.get(1))
        theirs = await _held(lambda: raw.get(key(1)))
    rows = compared([("cachebus.aio", ours / 1024), ("redis-py", theirs / 1024)])
    return Figure(f"Python: memory of each of {CONNECTIONS} connections", "KiB", rows)


async def _held(call: Callable[[], Awaitable[Any]]) -> float:
    """Bytes for each connection that calls at the same time have opened, but for the first: what only that needs is of
    the process."""
    await call()
    gc.collect()
    tracemalloc.start()
    for at_once in growing(CONNECTIONS):
        await asyncio.gather(*(call() for _ in range(at_once)))
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / (CONNECTIONS - 1)

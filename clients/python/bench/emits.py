"""Events emitted by the client, and by the same commands in a pipeline by hand."""

from __future__ import annotations

import time
from typing import Any

import redis.asyncio

from cachebus import Emitted
from cachebus.aio import CacheBus

from .place import Place
from .rounds import Load, compare, looping
from .summary import Figure
from .work import DURABLE, LIVE, told

# What ours is to be of the same commands by hand.
AIMS = {LIVE: 0.9, DURABLE: 0.75}
SLICE = 0.4
# How many events a history keeps.
HISTORY = 100


async def emits(place: Place, rounds: int) -> list[Figure]:
    """Both kinds of channels."""
    figures = []
    async with place.bus() as bus, place.raw() as raw, place.admin() as admin:
        for channel, kind in ((LIVE, "live"), (DURABLE, "durable")):
            contenders = [
                looping("cachebus.aio", lambda id, channel=channel: _emit(bus, channel, id)),
                looping(
                    "redis-py, the same commands in a pipeline",
                    lambda id, channel=channel: _by_hand(bus, raw, channel, id),
                    aim=AIMS[channel],
                ),
            ]
            rows = await compare(contenders, Load(50, SLICE, rounds))
            figures.append(Figure(f"Python: emit, {kind}, 50 at a time", "events/s", rows))
            await admin.unlink(*(f"events:{channel}:{what}" for what in ("ids", "history", "stream")))
    return figures


async def _emit(bus: CacheBus, channel: str, id: int) -> Emitted:
    return await bus.events.emit(bus.events.event(channel, told(id)))


async def _by_hand(bus: CacheBus, raw: redis.asyncio.Redis, channel: str, id: int) -> list[Any]:
    """What ``cachebus_emit`` does for an event that is new, besides checks of rights and types."""
    event = bus.events.event(channel, told(id))
    envelope = event.encode()
    ids, history = f"events:{channel}:ids", f"events:{channel}:history"
    now = int(time.time() * 1000)
    pipeline = raw.pipeline(transaction=False)
    pipeline.zscore(ids, event.event_id)
    pipeline.lpush(history, envelope)
    if channel == DURABLE:
        pipeline.xadd(f"events:{channel}:stream", {"event_id": event.event_id, "envelope": envelope})
    pipeline.ltrim(history, 0, HISTORY - 1)
    pipeline.zadd(ids, {event.event_id: now})
    pipeline.publish(channel, envelope)
    return await pipeline.execute()

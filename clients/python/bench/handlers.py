"""Durable events and jobs: how soon they are handled, and how fast those that wait already."""

from __future__ import annotations

import asyncio
import logging
import ssl
import statistics
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func
from faststream.redis import RedisBroker, StreamSub
from faststream.security import BaseSecurity

from cachebus import ConsumerOptions, Event

from .place import HOST, Place
from .rounds import Contender, Load, Slice, compare
from .summary import Figure, Row, percentile
from .work import DURABLE

# Events a second, and the events of one round: 2 s, of which the first half second does not count.
RATE = 200
EVENTS = 400
WARMING = 100
ROUNDS = 2
# Events that wait when the time begins.
WAITING = 500
# Published at once before that.
AT_ONCE = 32
# Seconds that all of them may take.
LONGEST = 30.0

Handled = Callable[[int], None]


class Events(Protocol):
    """Something by which events reach a handler, each at least once."""

    who: str

    async def publish(self, number: int) -> None:
        """Publishes one."""

    def handling(self, handled: Handled) -> AsyncIterator[None]:
        """Has them handled meanwhile; a context."""

    async def clear(self) -> None:
        """Forgets what was published."""


class Ours:
    """The client, with so many handlers at a time."""

    def __init__(self, place: Place, handlers: int) -> None:
        self.who = f"cachebus.aio, {handlers} at a time"
        self._place = place
        self._bus = place.bus()
        self._options = ConsumerOptions(concurrency=handlers, ordered_by=lambda event: event.event_id)

    async def publish(self, number: int) -> None:
        await self._bus.events.emit(self._bus.events.event(DURABLE, {"number": number}))

    @asynccontextmanager
    async def handling(self, handled: Handled) -> AsyncIterator[None]:
        async def handle(event: Event) -> None:
            handled(event.data["number"])

        async with self._place.bus() as bus:
            consumer = bus.events.consumer({DURABLE: handle}, self._options)
            running = asyncio.create_task(consumer.run())
            try:
                yield
            finally:
                consumer.stop()
                await running

    async def clear(self) -> None:
        async with self._place.admin() as admin:
            await admin.unlink(*(f"events:{DURABLE}:{what}" for what in ("ids", "history", "stream")))


class FastStream:
    """FastStream on Redis Streams, by a group."""

    who = "FastStream, a stream and a group"

    def __init__(self, place: Place) -> None:
        self._place = place
        self._stream = "bench:faststream"
        self._publisher: RedisBroker | None = None

    async def publish(self, number: int) -> None:
        if self._publisher is None:
            self._publisher = self._broker()
            await self._publisher.connect()
        await self._publisher.publish({"number": number}, stream=self._stream)

    @asynccontextmanager
    async def handling(self, handled: Handled) -> AsyncIterator[None]:
        broker = self._broker()

        @broker.subscriber(stream=StreamSub(self._stream, group="bench", consumer="bench", last_id="0"))
        async def handle(told: dict[str, int]) -> None:
            handled(told["number"])

        await broker.start()
        try:
            yield
        finally:
            await broker.stop()

    async def clear(self) -> None:
        async with self._place.admin() as admin:
            await admin.unlink(self._stream)

    def _broker(self) -> RedisBroker:
        trust = ssl.create_default_context(cafile=self._place.ca)
        security = BaseSecurity(ssl_context=trust, use_ssl=True)
        return RedisBroker(f"redis://{HOST}:{self._place.tls_port}", security=security, logger=None)


class Arq:
    """Jobs of arq, with its own defaults: it looks for jobs every half second, and runs 10 at a time."""

    who = "arq, jobs"

    def __init__(self, place: Place) -> None:
        self._place = place
        self._settings = RedisSettings(host=HOST, port=place.tls_port, ssl=True, ssl_ca_certs=str(place.ca))
        self._pool: object | None = None

    async def publish(self, number: int) -> None:
        if self._pool is None:
            self._pool = await create_pool(self._settings)
        await self._pool.enqueue_job("handle", number)

    @asynccontextmanager
    async def handling(self, handled: Handled) -> AsyncIterator[None]:
        async def handle(_: object, number: int) -> None:
            handled(number)

        worker = Worker([func(handle, name="handle")], redis_settings=self._settings, handle_signals=False)
        running = asyncio.create_task(worker.async_run())
        try:
            yield
        finally:
            # It ends by being cancelled, and says so.
            with suppress(asyncio.CancelledError):
                await worker.close()
            await asyncio.gather(running, return_exceptions=True)

    async def clear(self) -> None:
        async with self._place.admin() as admin:
            async for key in admin.scan_iter("arq:*", count=500):
                await admin.unlink(key)


async def handlers(place: Place, rounds: int) -> list[Figure]:
    """Both, of ours and of what else people would take."""
    logging.disable(logging.INFO)
    ours, others = [Ours(place, 1), Ours(place, 8)], [FastStream(place), Arq(place)]
    all_events: list[Events] = [*ours, *others]
    soon = [await _soon(events) for events in all_events]
    waiting = [Contender(events.who, lambda _, events=events: _waiting(events)) for events in all_events]
    rows = await compare(waiting, Load(1, 0, min(rounds, 2)))
    return [
        Figure(f"Python: from publish to handler, {RATE} events/s", "events/s", soon),
        Figure(f"Python: {WAITING} durable events that wait", "events/s", rows),
    ]


async def _soon(events: Events) -> Row:
    """How soon each is handled after it was due."""
    rates, p50s, p99s = [], [], []
    for _ in range(ROUNDS):
        await events.clear()
        seconds: dict[int, float] = {}
        everything = asyncio.Event()
        begun = time.perf_counter() + 0.5

        def handled(number: int, begun: float = begun, seconds: dict[int, float] = seconds) -> None:
            seconds[number] = time.perf_counter() - (begun + number / RATE)
            if len(seconds) == EVENTS:
                everything.set()  # noqa: B023

        async with events.handling(handled):
            under_way = []
            for number in range(EVENTS):
                await asyncio.sleep(begun + number / RATE - time.perf_counter())
                under_way.append(asyncio.create_task(events.publish(number)))
            await asyncio.gather(*under_way)
            rates.append(EVENTS / (time.perf_counter() - begun))
            await _all(everything, events.who)
        counted = [took for number, took in seconds.items() if number >= WARMING]
        p50s.append(percentile(counted, 50) or 0.0)
        p99s.append(percentile(counted, 99) or 0.0)
    await events.clear()
    row = Row(events.who, statistics.median(rates))
    row.p50_ms, row.p99_ms = statistics.median(p50s) * 1000, statistics.median(p99s) * 1000
    return row


async def _all(handled: asyncio.Event, who: str) -> None:
    try:
        await asyncio.wait_for(handled.wait(), LONGEST)
    except (asyncio.TimeoutError, TimeoutError):
        raise RuntimeError(f"{who}: not all events were handled in time") from None


async def _waiting(events: Events) -> Slice:
    """How fast they are handled from the first to the last."""
    await events.clear()
    free = asyncio.Semaphore(AT_ONCE)

    async def publish(number: int) -> None:
        async with free:
            await events.publish(number)

    await publish(0)
    await asyncio.gather(*(publish(number) for number in range(1, WAITING)))
    times: dict[int, float] = {}
    everything = asyncio.Event()

    def handled(number: int) -> None:
        times.setdefault(number, time.perf_counter())
        if len(times) == WAITING:
            everything.set()

    async with events.handling(handled):
        await _all(everything, events.who)
    await events.clear()
    return Slice((WAITING - 1) / (max(times.values()) - min(times.values())))

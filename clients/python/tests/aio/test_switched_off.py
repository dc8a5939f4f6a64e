"""What a service does while its contract has events switched off."""

from __future__ import annotations

import json
from pathlib import Path

import redis

import contracts
import rights
from cachebus import Event, Folder
from cachebus.aio import CacheBus
from engines import Server

from .conftest import PATIENT
from .handling import DEAD, STREAM, Handled, consumer, emit, pending
from .twins import background, nap, soon

# Longer than an event takes to come.
A_WHILE = 0.5


class Switched:
    """The service's binding, of which events are switched while it is in use."""

    def __init__(self, folder: Path, server: Server) -> None:
        self._folder = folder
        entries = {"host": "127.0.0.1", "port": str(server.port), "username": rights.SERVICE}
        for name, text in (entries | {"password": rights.PASSWORD}).items():
            (folder / name).write_text(text)
        self._write(on=True)

    def client(self) -> CacheBus:
        return CacheBus(Folder(self._folder), settings=PATIENT)

    async def turn(self, *, on: bool) -> None:
        """Returns when whoever looks sees it."""
        self._write(on=on)
        await nap(2 * PATIENT.reload_every)

    def _write(self, *, on: bool) -> None:
        document = contracts.document()
        document["events"]["enabled"] = on
        (self._folder / "new").write_text(json.dumps(document))
        (self._folder / "new").replace(self._folder / "contract.json")


async def test_nothing_is_handed_out_or_acknowledged(
    bus: CacheBus, server: Server, admin: redis.Redis, tmp_path: Path
) -> None:
    switched, handled = Switched(tmp_path, server), Handled()
    async with switched.client() as service:
        running = consumer(service, handled.handle)
        async with background(running.run, running.stop):
            await emit(bus, 0)
            await soon(lambda: handled.numbers == [0] and pending(admin) == 0)
            await switched.turn(on=False)
            await emit(bus, *range(1, 10))
            await nap(A_WHILE)
            assert handled.numbers == [0]
            group = admin.xinfo_groups(STREAM)[0]
            assert group["pending"] + group["lag"] == 9
            await switched.turn(on=True)
            await soon(lambda: len(handled.numbers) == 10)
            await switched.turn(on=False)
            await emit(bus, 10)
    assert handled.numbers == list(range(10))


async def test_what_is_under_way_ends_and_the_next_waits(
    bus: CacheBus, server: Server, admin: redis.Redis, tmp_path: Path
) -> None:
    switched = Switched(tmp_path, server)
    begun: list[object] = []
    may_end: list[bool] = []

    async def handle(event: Event) -> None:
        begun.append(event.data["n"])
        while not may_end:
            await nap(0.01)

    await emit(bus, 0, 1)
    async with switched.client() as service:
        running = consumer(service, handle)
        async with background(running.run, running.stop):
            await soon(lambda: begun == [0] and pending(admin) == 2)
            await switched.turn(on=False)
            may_end.append(True)
            await soon(lambda: pending(admin) == 1)
            await nap(A_WHILE)
            assert begun == [0]
            await switched.turn(on=True)
            await soon(lambda: pending(admin) == 0)
    assert begun == [0, 1]


async def test_another_attempt_waits(bus: CacheBus, server: Server, admin: redis.Redis, tmp_path: Path) -> None:
    switched = Switched(tmp_path, server)
    tried: list[object] = []

    async def handle(event: Event) -> None:
        tried.append(event.data["n"])
        if len(tried) == 1:
            await switched.turn(on=False)
            raise ValueError

    await emit(bus, 0)
    async with switched.client() as service:
        running = consumer(service, handle)
        async with background(running.run, running.stop):
            await soon(lambda: tried)
            await nap(A_WHILE)
            assert tried == [0]
            await switched.turn(on=True)
            await soon(lambda: pending(admin) == 0)
    assert tried == [0, 0]
    assert admin.exists(DEAD) == 0


async def test_a_subscription_is_silent_and_filled_in_afterwards(bus: CacheBus, server: Server, tmp_path: Path) -> None:
    switched = Switched(tmp_path, server)
    heard: list[object] = []
    async with switched.client() as service, service.events.subscribe("task:created") as events:

        async def listen() -> None:
            async for event in events:
                heard.append(event.data["n"])

        async with background(listen, events.stop):
            await emit(bus, 0)
            await soon(lambda: heard == [0])
            await switched.turn(on=False)
            await emit(bus, 1, 2, 3)
            await nap(A_WHILE)
            assert heard == [0]
            await switched.turn(on=True)
            await soon(lambda: heard == [0, 1, 2, 3])
    assert events.gaps == 0

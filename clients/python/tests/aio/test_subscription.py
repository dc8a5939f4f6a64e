"""Live events."""

from __future__ import annotations

import pytest
import redis

import contracts
from cachebus import Event
from cachebus.aio import CacheBus, Subscription
from engines import Server

from .conftest import PATIENT, client
from .twins import background, nap, soon


class Listener:
    """Takes what a subscription hears."""

    def __init__(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.heard: list[Event] = []

    async def run(self) -> None:
        async for event in self.subscription:
            self.heard.append(event)
            if event.data.get("last"):
                return

    def stop(self) -> None:
        self.subscription.stop()


def names(events: list[Event]) -> list[object]:
    return [event.data.get("n") for event in events]


async def emit(bus: CacheBus, number: int, channel: str = "agent:updated", last: bool = False) -> None:
    await bus.events.emit(bus.events.event(channel, {"n": number, "last": last}))


async def test_hears_what_is_published(bus: CacheBus) -> None:
    async with bus.events.subscribe("agent", "task:created") as subscription:
        listener = Listener(subscription)
        async with background(listener.run, listener.stop):
            await emit(bus, 1)
            await emit(bus, 2, "task:created")
            await emit(bus, 3, "task:completed")
            await emit(bus, 4, last=True)
            await soon(lambda: len(listener.heard) == 3)
    assert names(listener.heard) == [1, 2, 4]
    assert subscription.gaps == 0


async def test_fills_what_was_published_while_it_was_cut_off(bus: CacheBus, admin: redis.Redis) -> None:
    await emit(bus, 0)
    async with bus.events.subscribe("agent") as subscription:
        listener = Listener(subscription)
        async with background(listener.run, listener.stop):
            await emit(bus, 1)
            await soon(lambda: len(listener.heard) == 1)
            admin.client_kill_filter(_type="pubsub")
            for number in range(2, 20):
                await emit(bus, number)
            await soon(lambda: len(listener.heard) == 19)
            await emit(bus, 20, last=True)
            await soon(lambda: len(listener.heard) == 20)
    assert names(listener.heard) == list(range(1, 21))
    assert subscription.gaps == 0


async def test_each_event_comes_once(bus: CacheBus, admin: redis.Redis) -> None:
    async with bus.events.subscribe("agent") as subscription:
        listener = Listener(subscription)
        async with background(listener.run, listener.stop):
            event = bus.events.event("agent:updated", {"n": 1})
            for _ in range(3):
                admin.publish("agent:updated", event.encode())
            await emit(bus, 2, last=True)
            await soon(lambda: 2 in names(listener.heard))
    assert names(listener.heard) == [1, 2]


async def test_says_so_where_the_history_is_too_short(server: Server, admin: redis.Redis) -> None:
    short = contracts.text(history=3)
    async with client(server.port, PATIENT, short) as bus, bus.events.subscribe("agent") as subscription:
        listener = Listener(subscription)
        async with background(listener.run, listener.stop):
            await emit(bus, 1)
            await soon(lambda: len(listener.heard) == 1)
            missed = [bus.events.event("agent:updated", {"n": number}) for number in range(2, 10)]
            for event in missed:
                admin.lpush("events:agent:updated:history", event.encode())
            admin.ltrim("events:agent:updated:history", 0, 2)
            admin.client_kill_filter(_type="pubsub")
            await soon(lambda: subscription.gaps == 1)
            await emit(bus, 10, last=True)
            await soon(lambda: names(listener.heard)[-1] == 10)
    assert names(listener.heard)[-4:] == [7, 8, 9, 10]


async def test_a_restart_is_ridden_through(own_server: Server) -> None:
    async with client(own_server.port) as bus, bus.events.subscribe("agent") as subscription:
        listener = Listener(subscription)
        async with background(listener.run, listener.stop):
            await emit(bus, 1)
            await soon(lambda: len(listener.heard) == 1)
            own_server.stop()
            own_server.start()
            await emit(bus, 2)
            await emit(bus, 3, last=True)
            await soon(lambda: len(listener.heard) == 3)
    assert names(listener.heard) == [1, 2, 3]


async def test_a_silent_server_is_noticed(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cachebus._async.subscription.READ", 0.1)
    async with client(own_server.port) as bus, bus.events.subscribe("agent") as subscription:
        listener = Listener(subscription)
        async with background(listener.run, listener.stop):
            await emit(bus, 1)
            await soon(lambda: len(listener.heard) == 1)
            # Long enough to be asked whether it lives, and it does.
            await nap(0.8)
            assert len(own_server.admin().client_list(_type="pubsub")) == 1
            before = own_server.admin().client_list(_type="pubsub")[0]["id"]
            own_server.freeze()
            await nap(1.5)
            own_server.thaw()
            await emit(bus, 2, last=True)
            await soon(lambda: len(listener.heard) == 2)
            assert before not in [each["id"] for each in own_server.admin().client_list(_type="pubsub")]


async def test_what_is_no_envelope_is_left_out(bus: CacheBus, admin: redis.Redis) -> None:
    async with bus.events.subscribe("agent") as subscription:
        listener = Listener(subscription)
        async with background(listener.run, listener.stop):
            admin.publish("agent:updated", "no json")
            event = bus.events.event("task:created", {"n": 0})
            admin.publish("agent:updated", event.encode())
            await emit(bus, 1, last=True)
            await soon(lambda: listener.heard)
    assert names(listener.heard) == [1]


async def test_durable_and_live_handlers(bus: CacheBus) -> None:
    heard: list[tuple[str, object]] = []

    @bus.events.on("agent", "task:created")
    async def handle(event: Event) -> None:
        heard.append((event.channel, event.data["n"]))
        if event.data["n"] == 1:
            raise ValueError("fails, and the rest goes on")

    async with background(bus.events.run, bus.events.stop):

        async def sent() -> bool:
            await emit(bus, 2)
            return ("agent:updated", 2) in heard

        await emit(bus, 3, "task:created")
        await soon(lambda: ("task:created", 3) in heard)
        while not await sent():
            pass
        await emit(bus, 1)
        await emit(bus, 4)
        await soon(lambda: ("agent:updated", 4) in heard)

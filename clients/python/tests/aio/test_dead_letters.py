"""What a service could not handle."""

from __future__ import annotations

import redis

import rights
from cachebus import Event
from cachebus.aio import CacheBus
from proxy import Proxy

from .conftest import PATIENT, client
from .handling import DEAD, STREAM, Handled, consumer, emit, pending
from .twins import background, soon


async def test_what_cannot_be_handled_becomes_a_dead_letter(bus: CacheBus, admin: redis.Redis) -> None:
    handled = Handled(fails=3)
    running = consumer(bus, handled.handle)
    async with background(running.run, running.stop):
        await emit(bus, 1, 2)
        await soon(lambda: handled.numbers == [2])
        await soon(lambda: pending(admin) == 0)
    letters = bus.events.dead_letters("task:created")
    assert await letters.count() == 1
    [letter] = [letter async for letter in letters.letters()]
    assert letter.event is not None
    assert (letter.event.data["n"], letter.reason, letter.deliveries) == (1, "ValueError", 1)
    assert letter.event.stream_id == admin.xrange(STREAM)[0][0]
    assert "secret" not in str(admin.xrange(DEAD))


async def test_dead_letters_are_looked_at_redriven_and_dropped(bus: CacheBus, admin: redis.Redis) -> None:
    events = [bus.events.event("task:created", {"n": number}) for number in range(120)]
    for event in events:
        fields = {"event_id": event.event_id, "envelope": event.encode(), "stream_id": "1-0"}
        admin.xadd(DEAD, {**fields, "deliveries": "2", "reason": "KeyError", "failed_at": "5"})
    broken = admin.xadd(DEAD, {"x": "y"})
    letters = bus.events.dead_letters("task:created")
    listed = [letter async for letter in letters.letters()]
    assert [letter.event for letter in listed] == [*events, None]
    assert len([letter async for letter in letters.letters(limit=7)]) == 7
    assert await letters.get(listed[3].id) == listed[3]
    assert await letters.get("1-1") is None
    seen: list[object] = []

    async def odd(event: Event) -> None:
        seen.append(event.data["n"])
        if event.data["n"] % 2 == 0:
            raise LookupError

    redriven = await letters.redrive(odd)
    assert seen == list(range(120))
    assert (redriven.handled, redriven.failed) == (60, 61)
    assert await letters.count() == 61
    assert await letters.drop(broken, listed[0].id) == 2
    assert await letters.drop() == 0
    assert await letters.count() == 59


async def test_a_dead_letter_is_written_once(proxy: Proxy, admin: redis.Redis) -> None:
    async with client(proxy.port, PATIENT) as bus:
        handled = Handled(fails=3)
        running = consumer(bus, handled.handle)
        proxy.cut(b"XADD", times=1)
        async with background(running.run, running.stop):
            await emit(bus, 1, 2)
            await soon(lambda: handled.numbers == [2])
            await soon(lambda: pending(admin) == 0)
    assert admin.xlen(DEAD) == 1


async def test_what_is_no_envelope_becomes_a_dead_letter(bus: CacheBus, admin: redis.Redis) -> None:
    admin.xadd(STREAM, {"x": "y"})
    admin.xadd(STREAM, {"event_id": "evt_1", "envelope": "{"})
    handled = Handled()
    running = consumer(bus, handled.handle)
    async with background(running.run, running.stop):
        await emit(bus, 1)
        await soon(lambda: handled.events)
    letters = [letter async for letter in bus.events.dead_letters("task:created").letters()]
    assert [(letter.reason, letter.event) for letter in letters] == [("invalid", None)] * 2


async def test_what_consumers_die_over_becomes_a_dead_letter(bus: CacheBus, admin: redis.Redis) -> None:
    await emit(bus, 1)
    admin.xgroup_create(STREAM, rights.SERVICE, id="0")
    [[_, [[stream_id, _]]]] = admin.xreadgroup(rights.SERVICE, "dead", {STREAM: ">"})
    admin.xclaim(STREAM, rights.SERVICE, "dead", 0, [stream_id], retrycount=5)
    handled = Handled()
    running = consumer(bus, handled.handle)
    async with background(running.run, running.stop):
        await soon(lambda: admin.exists(DEAD))
    assert not handled.events
    [letter] = [letter async for letter in bus.events.dead_letters("task:created").letters()]
    assert (letter.reason, letter.deliveries) == ("deliveries", 6)

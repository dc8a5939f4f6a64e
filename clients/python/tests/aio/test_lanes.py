"""Which work begins when."""

from __future__ import annotations

from cachebus._async.lanes import Lanes, Work
from cachebus._async.streams import Entry
from cachebus.contract import ChannelSpec

from .twins import background, nap, soon

SPECS = [ChannelSpec(channel, durable=True, history=0, retention_ms=1) for channel in ("one", "two")]


def work(stream_id: str, key: str, spec: ChannelSpec = SPECS[0]) -> Work:
    return Work(Entry(spec, stream_id, {}, 1), None, key)


class Worker:
    """Takes work, and keeps its ids."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self.ids: list[str] = []

    async def run(self) -> None:
        while (work := await self._lanes.take()) is not None:
            self.ids.append(work.entry.stream_id)


async def taken(lanes: Lanes) -> Work:
    work = await lanes.take()
    assert work is not None
    return work


async def test_of_one_key_there_is_one_at_a_time() -> None:
    lanes = Lanes(2, 16)
    lanes.add([work("1-0", "a"), work("2-0", "a"), work("3-0", "b")])
    first = await taken(lanes)
    assert first.entry.stream_id == "1-0"
    worker = Worker(lanes)
    async with background(worker.run, lanes.close):
        await soon(lambda: worker.ids == ["3-0"])
        await nap(0.05)
        assert worker.ids == ["3-0"]
        lanes.done(first)
        assert (await taken(lanes)).entry.stream_id == "2-0"


async def test_what_is_held_is_not_added_again() -> None:
    lanes = Lanes(2, 16)
    lanes.add([work("1-0", "a")])
    first = await taken(lanes)
    lanes.add([work("1-0", "a")])
    lanes.done(first)
    assert lanes.held() == {}
    lanes.add([work("2-0", "a")])
    assert (await taken(lanes)).entry.stream_id == "2-0"


async def test_what_waited_may_come_again_after_it_was_forgotten() -> None:
    lanes = Lanes(2, 16)
    lanes.add([work("1-0", "a"), work("2-0", "a"), work("3-0", "b")])
    first = await taken(lanes)
    lanes.forget_waiting()
    assert lanes.held() == {SPECS[0]: {"1-0"}}
    lanes.add([work("2-0", "a"), work("3-0", "b")])
    assert (await taken(lanes)).entry.stream_id == "3-0"
    lanes.done(first)
    assert (await taken(lanes)).entry.stream_id == "2-0"


async def test_there_is_room_while_a_worker_is_idle_and_a_channel_has_not_its_fill() -> None:
    lanes = Lanes(2, 3)
    assert await lanes.room(SPECS) == SPECS
    lanes.add([work("1-0", "a"), work("2-0", "a"), work("3-0", "a")])
    assert await lanes.room(SPECS) == SPECS[1:]
    lanes.add([work("4-0", "b", SPECS[1])])
    found: list[list[ChannelSpec]] = []

    async def look() -> None:
        found.append(await lanes.room(SPECS))

    async with background(look, lanes.close):
        first = await taken(lanes)
        second = await taken(lanes)
        lanes.done(first)
        await nap(0.05)
        assert found == []
        lanes.done(second)
        await soon(lambda: found == [SPECS])


async def test_nobody_waits_once_they_are_closed() -> None:
    lanes = Lanes(1, 1)
    lanes.add([work("1-0", "a")])
    lanes.close()
    assert await lanes.take() is None
    assert await lanes.room(SPECS) == []
    assert lanes.held() == {SPECS[0]: {"1-0"}}

"""Which work begins when."""

from __future__ import annotations

from cachebus._sync.lanes import Lanes, Work
from cachebus._sync.streams import Entry
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

    def run(self) -> None:
        while (work := self._lanes.take()) is not None:
            self.ids.append(work.entry.stream_id)


def taken(lanes: Lanes) -> Work:
    work = lanes.take()
    assert work is not None
    return work


def test_of_one_key_there_is_one_at_a_time() -> None:
    lanes = Lanes(2, 16)
    lanes.add([work("1-0", "a"), work("2-0", "a"), work("3-0", "b")])
    first = taken(lanes)
    assert first.entry.stream_id == "1-0"
    worker = Worker(lanes)
    with background(worker.run, lanes.close):
        soon(lambda: worker.ids == ["3-0"])
        nap(0.05)
        assert worker.ids == ["3-0"]
        lanes.done(first)
        assert (taken(lanes)).entry.stream_id == "2-0"


def test_what_is_held_is_not_added_again() -> None:
    lanes = Lanes(2, 16)
    lanes.add([work("1-0", "a")])
    first = taken(lanes)
    lanes.add([work("1-0", "a")])
    lanes.done(first)
    assert lanes.held() == {}
    lanes.add([work("2-0", "a")])
    assert (taken(lanes)).entry.stream_id == "2-0"


def test_what_waited_may_come_again_after_it_was_forgotten() -> None:
    lanes = Lanes(2, 16)
    lanes.add([work("1-0", "a"), work("2-0", "a"), work("3-0", "b")])
    first = taken(lanes)
    lanes.forget_waiting()
    assert lanes.held() == {SPECS[0]: {"1-0"}}
    lanes.add([work("2-0", "a"), work("3-0", "b")])
    assert (taken(lanes)).entry.stream_id == "3-0"
    lanes.done(first)
    assert (taken(lanes)).entry.stream_id == "2-0"


def test_there_is_room_while_a_worker_is_idle_and_a_channel_has_not_its_fill() -> None:
    lanes = Lanes(2, 3)
    assert lanes.room(SPECS) == SPECS
    lanes.add([work("1-0", "a"), work("2-0", "a"), work("3-0", "a")])
    assert lanes.room(SPECS) == SPECS[1:]
    lanes.add([work("4-0", "b", SPECS[1])])
    found: list[list[ChannelSpec]] = []

    def look() -> None:
        found.append(lanes.room(SPECS))

    with background(look, lanes.close):
        first = taken(lanes)
        second = taken(lanes)
        lanes.done(first)
        nap(0.05)
        assert found == []
        lanes.done(second)
        soon(lambda: found == [SPECS])


def test_nobody_waits_once_they_are_closed() -> None:
    lanes = Lanes(1, 1)
    lanes.add([work("1-0", "a")])
    lanes.close()
    assert lanes.take() is None
    assert lanes.room(SPECS) == []
    assert lanes.held() == {SPECS[0]: {"1-0"}}

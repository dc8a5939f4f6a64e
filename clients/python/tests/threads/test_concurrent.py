"""Events that are handled at the same time, and what keeps its order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis

import rights
from cachebus import CacheBus, Event, Settings
from engines import Server

from .conftest import client
from .handling import DEAD, Handled, consumer, pending
from .twins import background, nap, soon


def emit(bus: CacheBus, numbers: Iterable[int], tasks: int) -> None:
    """Numbered events of so many tasks in turn."""
    for number in numbers:
        bus.events.emit(bus.events.event("task:created", {"n": number, "task": number % tasks}))


def by_task(bus: CacheBus, handler: Any, concurrency: int, **changes: Any) -> Any:
    return consumer(bus, handler, concurrency=concurrency, ordered_by=lambda event: event.data["task"], **changes)


class Slow:
    """A handler that takes a moment, and keeps what it was handed and how many were at it."""

    def __init__(self, moment: float) -> None:
        self._moment = moment
        self._now: set[int] = set()
        self.at_once: list[int] = []
        self.numbers: list[int] = []

    def handle(self, event: Event) -> None:
        number = event.data["n"]
        self._now.add(number)
        self.at_once.append(len(self._now))
        nap(self._moment)
        self._now.discard(number)
        self.numbers.append(number)

    def of_task(self, task: int, tasks: int) -> list[int]:
        return [number for number in list(self.numbers) if number % tasks == task]


def test_keys_go_at_the_same_time_and_each_in_its_order(bus: CacheBus, admin: redis.Redis) -> None:
    emit(bus, range(100), tasks=5)
    slow = Slow(0.005)
    running = by_task(bus, slow.handle, 4)
    with background(running.run, running.stop):
        soon(lambda: len(slow.numbers) == 100 and pending(admin) == 0)
    assert max(slow.at_once) == 4
    for task in range(5):
        assert slow.of_task(task, 5) == list(range(task, 100, 5))


def test_what_fails_holds_up_its_own_key_alone(bus: CacheBus) -> None:
    emit(bus, range(4), tasks=2)
    handled: list[int] = []
    attempts: list[int] = []

    def handle(event: Event) -> None:
        number = event.data["n"]
        attempts.append(number)
        if attempts.count(0) < 3 and number == 0:
            raise ValueError
        handled.append(number)

    running = by_task(bus, handle, 2, backoff=0.4)
    with background(running.run, running.stop):
        soon(lambda: len(handled) == 4)
    assert handled == [1, 3, 0, 2]


def test_without_a_key_a_channel_keeps_its_order(bus: CacheBus) -> None:
    emit(bus, range(20), tasks=2)
    slow = Slow(0.002)
    running = consumer(bus, slow.handle, concurrency=4)
    with background(running.run, running.stop):
        soon(lambda: len(slow.numbers) == 20)
    assert slow.numbers == list(range(20))


def test_a_stop_lets_what_runs_finish_and_gives_back_the_rest(bus: CacheBus, admin: redis.Redis) -> None:
    emit(bus, range(12), tasks=3)
    begun: list[int] = []
    go_on: list[bool] = []

    def handle(event: Event) -> None:
        begun.append(event.data["n"])
        while not go_on:
            nap(0.01)

    running = by_task(bus, handle, 3, claim_after=3600.0)
    with background(running.run, running.stop):
        soon(lambda: len(begun) == 3)
        running.stop()
        nap(0.3)
        assert pending(admin) == 12
        go_on.append(True)
    assert sorted(begun) == [0, 1, 2]
    assert pending(admin) == 9
    others = Handled()
    taking = consumer(bus, others.handle, name="there", claim_after=3600.0)
    with background(taking.run, taking.stop):
        soon(lambda: len(others.events) == 9)
    assert others.numbers == list(range(3, 12))


def test_a_stop_between_attempts_buries_nothing(bus: CacheBus, admin: redis.Redis) -> None:
    emit(bus, [0], tasks=1)
    attempts: list[int] = []

    def handle(event: Event) -> None:
        attempts.append(event.data["n"])
        raise ValueError

    running = consumer(bus, handle, backoff=60.0, longest_backoff=60.0)
    with background(running.run, running.stop):
        soon(lambda: attempts)
    assert attempts == [0]
    assert pending(admin) == 1
    assert admin.exists(DEAD) == 0


def test_ended_sessions_change_no_order(bus: CacheBus, admin: redis.Redis) -> None:
    slow = Slow(0.003)
    running = by_task(bus, slow.handle, 4)
    with background(running.run, running.stop):
        for begin in range(0, 144, 24):
            emit(bus, range(begin, begin + 24), tasks=6)
            admin.execute_command("CLIENT", "KILL", "USER", rights.SERVICE)
        soon(lambda: len(slow.numbers) >= 144 and pending(admin) == 0)
    for task in range(6):
        assert slow.of_task(task, 6) == list(range(task, 144, 6))


def test_an_acknowledgment_that_nobody_answers_is_said_again_without_the_handler(own_server: Server) -> None:
    impatient = Settings(connect_timeout=0.3, command_timeout=0.3, deadline=0.5)
    handled: list[int] = []

    def handle(event: Event) -> None:
        handled.append(event.data["n"])
        if event.data["n"] == 0:
            own_server.freeze()

    with client(own_server.port) as bus:
        emit(bus, range(2), tasks=1)
    with client(own_server.port, impatient) as bus:
        running = by_task(bus, handle, 2)
        with background(running.run, running.stop):
            soon(lambda: handled)
            # Longer than one call takes with all its repetitions.
            nap(1.5)
            assert handled == [0]
            own_server.thaw()
            soon(lambda: len(handled) == 2 and pending(own_server.admin()) == 0)
    assert handled == [0, 1]


def test_an_event_whose_key_cannot_be_told_is_ordered_by_its_channel(bus: CacheBus) -> None:
    for data in ({"n": 0}, {"n": 1, "task": ["no", "key"]}, {"n": 2, "task": 7}):
        bus.events.emit(bus.events.event("task:created", data))
    handled = Handled()
    running = by_task(bus, handled.handle, 2)
    with background(running.run, running.stop):
        soon(lambda: len(handled.events) == 3)
    assert [number for number in handled.numbers if number != 2] == [0, 1]

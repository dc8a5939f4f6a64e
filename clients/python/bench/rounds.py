"""Calls made one after the other in loops that go on at the same time, by each contender in turn, round by round."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .summary import Row, ratio
from .work import Ids

# Seconds of a slice in which connections are opened, how many there may be, and the calls of each loop in one that has
# opened none: opening takes longer than that.
OPENING = 0.1
MOST_OPENINGS = 100
ENOUGH = 2


@dataclass(frozen=True)
class Load:
    """How much is done in one slice of a round."""

    # Loops that go on at the same time, each with one call under way.
    at_once: int
    # Seconds that they go on.
    slice: float
    # Rounds that count. One before them does not.
    rounds: int


@dataclass
class Slice:
    """What one contender did in a slice."""

    # Calls a second.
    rate: float
    # Seconds that each call took; none where nobody looked.
    laps: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Contender:
    """One way of doing the work."""

    who: str
    play: Callable[[Load], Awaitable[Slice]]
    # Ours is to be so many times as fast.
    aim: float | None = None


def looping(who: str, call: Callable[[int], Awaitable[Any]], *, aim: float | None = None) -> Contender:
    """One that calls again and again with ids that are there, in tasks; an answer that is ``None`` fails it."""

    async def loop(number: int, until: float, laps: list[float]) -> None:
        ids = Ids(number)
        while (begun := time.perf_counter()) < until:
            if await call(ids.draw()) is None:
                raise RuntimeError(f"{who}: a value is not there")
            laps.append(time.perf_counter() - begun)

    async def play(load: Load) -> Slice:
        begun = time.perf_counter()
        laps: list[float] = []
        await asyncio.gather(*(loop(number, begun + load.slice, laps) for number in range(load.at_once)))
        return Slice(len(laps) / (time.perf_counter() - begun), laps)

    return Contender(who, play, aim)


def threading_(who: str, call: Callable[[int], Any], *, aim: float | None = None) -> Contender:
    """The same in threads."""

    def loop(number: int, until: float, laps: list[float], errors: list[Exception]) -> None:
        ids = Ids(number)
        try:
            while (begun := time.perf_counter()) < until:
                if call(ids.draw()) is None:
                    raise RuntimeError(f"{who}: a value is not there")
                laps.append(time.perf_counter() - begun)
        except Exception as error:
            errors.append(error)

    def run(load: Load) -> Slice:
        begun = time.perf_counter()
        laps: list[float] = []
        errors: list[Exception] = []
        threads = [
            threading.Thread(target=loop, args=(number, begun + load.slice, laps, errors))
            for number in range(load.at_once)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in errors:
            raise error
        return Slice(len(laps) / (time.perf_counter() - begun), laps)

    async def play(load: Load) -> Slice:
        return await asyncio.to_thread(run, load)

    return Contender(who, play, aim)


def growing(most: int) -> Iterator[int]:
    """How many calls are made at the same time until there are ``most``, twice as many each time; nothing for one. By
    them connections are opened: a busy machine takes longer for all at once than a client waits for one."""
    at_once = 2
    while at_once < most:
        yield at_once
        at_once *= 2
    if most > 1:
        yield most


async def _open(contender: Contender, load: Load) -> None:
    """Plays until all connections are open: redis-py opens one after the other, each with a TLS context of its own."""
    for at_once in growing(load.at_once):
        for _ in range(MOST_OPENINGS):
            played = await contender.play(replace(load, at_once=at_once, slice=OPENING))
            if len(played.laps) >= ENOUGH * at_once:
                break
        else:
            raise RuntimeError(f"{contender.who}: it does not come to {at_once} calls at the same time")


async def compare(contenders: Sequence[Contender], load: Load) -> list[Row]:
    """Plays all rounds; a row for each contender, of which the first is ours. Each round begins with another one."""
    rates: list[list[float]] = [[] for _ in contenders]
    laps: list[list[float]] = [[] for _ in contenders]
    for contender in contenders:
        await _open(contender, load)
    for round_ in range(load.rounds + 1):
        for turn in range(len(contenders)):
            place = (turn + round_) % len(contenders)
            played = await contenders[place].play(load)
            if round_:
                rates[place].append(played.rate)
                laps[place] += played.laps
    return [
        Row(
            contender.who,
            statistics.median(rates[place]),
            ratio=ratio(rates[0], rates[place]) if place else None,
        )
        .timed(laps[place])
        .at_least(contender.aim)
        for place, contender in enumerate(contenders)
    ]

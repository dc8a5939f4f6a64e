"""Entries that were handed out to this consumer and are not done with, by key."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

from ..contract import ChannelSpec
from ..envelope import Event
from .primitives import Condition, Guard
from .streams import Entry


class Work(NamedTuple):
    """An entry on its way to a handler."""

    entry: Entry
    # `None`: the entry holds no envelope.
    event: Event | None
    # Work of one key is done in its order, one after the other.
    key: Hashable


class Lanes:
    """Hands work to so many workers, never two of one key at a time.

    ``most``: work of one channel that may wait here or be done.
    """

    def __init__(self, workers: int, most: int) -> None:
        self._workers = workers
        self._most = most
        self._guard = Guard()
        self._has_work = Condition(self._guard)
        self._has_room = Condition(self._guard)
        # What waits. A key is here while it has work that waits or is done.
        self._waiting: dict[Hashable, deque[Work]] = {}
        # Keys of which nothing is done now and something waits.
        self._ready: deque[Hashable] = deque()
        self._working = 0
        self._held: dict[ChannelSpec, set[str]] = {}
        self._closed = False

    def add(self, many: Iterable[Work]) -> None:
        """Adds what was handed out; what is held already is not added again."""
        with self._guard:
            for work in many:
                ids = self._held.setdefault(work.entry.spec, set())
                if work.entry.stream_id in ids:
                    continue
                ids.add(work.entry.stream_id)
                if work.key in self._waiting:
                    self._waiting[work.key].append(work)
                else:
                    self._waiting[work.key] = deque([work])
                    self._ready.append(work.key)
                    self._has_work.notify()

    async def take(self) -> Work | None:
        """The next work; waits for it. Its worker is done with it, or takes no more. ``None``: they are closed."""
        with self._guard:
            while not self._closed:
                if self._ready:
                    self._working += 1
                    return self._waiting[self._ready.popleft()].popleft()
                await self._has_work.wait()
        return None

    def done(self, work: Work) -> None:
        """This work is done with, and the next of its key may begin."""
        with self._guard:
            self._held[work.entry.spec].discard(work.entry.stream_id)
            self._working -= 1
            if self._waiting[work.key]:
                # Nobody has to be woken for it: its worker takes the next.
                self._ready.append(work.key)
            else:
                del self._waiting[work.key]
            if self._is_idle():
                self._has_room.notify()

    def forget_waiting(self) -> None:
        """Forgets what waits: it stays handed out to this consumer."""
        with self._guard:
            for waiting in self._waiting.values():
                for work in waiting:
                    self._held[work.entry.spec].discard(work.entry.stream_id)
                waiting.clear()
            for key in self._ready:
                del self._waiting[key]
            self._ready.clear()

    async def room(self, channels: Sequence[ChannelSpec]) -> list[ChannelSpec]:
        """Waits until a worker has nothing to do, and names the channels of which it may be given more: at least one,
        unless they are closed."""
        with self._guard:
            while not self._closed:
                if self._is_idle():
                    free = [spec for spec in channels if len(self._held.get(spec, ())) < self._most]
                    if free:
                        return free
                await self._has_room.wait()
        return []

    def held(self) -> dict[ChannelSpec, set[str]]:
        """Ids of what is not done with."""
        with self._guard:
            return {spec: set(ids) for spec, ids in self._held.items() if ids}

    def close(self) -> None:
        """Work is taken no more."""
        with self._guard:
            self._closed = True
            self._has_work.notify_all()
            self._has_room.notify_all()

    def _is_idle(self) -> bool:
        """Whether a worker has nothing to do."""
        return self._working + len(self._ready) < self._workers

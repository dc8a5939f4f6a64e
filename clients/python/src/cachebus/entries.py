"""What a near cache holds: stored bytes, as many as fit."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

# What an entry takes besides its key and its value, about.
OVERHEAD = 300


class Kept(NamedTuple):
    """What was read of a key. Times are those of ``time.monotonic``."""

    data: bytes
    # When the server drops it; `None`: it has no end.
    ends: float | None
    # When it is to be read again, at the latest.
    until: float


class _Entry:
    __slots__ = ("kept", "used")

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.used = False


class Entries:
    """Stored bytes by key. Where they are too many, what was not asked for of late goes first (second chance)."""

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        # Oldest first.
        self._held: OrderedDict[str, _Entry] = OrderedDict()
        # Keys that are being read, with the number of the newest read.
        self._awaited: dict[str, int] = {}
        self._numbers = 0

    def get(self, key: str, now: float) -> Kept | None:
        """What is held of a key at this moment."""
        entry = self._held.get(key)
        if entry is None:
            return None
        kept = entry.kept
        if kept.until <= now or (kept.ends is not None and kept.ends <= now):
            self._remove(key)
            return None
        entry.used = True
        return kept

    def expect(self, key: str) -> int:
        """A read of this key begins. Its number is good for :meth:`fill` unless the key is forgotten meanwhile."""
        self._numbers += 1
        self._awaited[key] = self._numbers
        return self._numbers

    def give_up(self, key: str, number: int) -> None:
        """A read has ended."""
        if self._awaited.get(key) == number:
            del self._awaited[key]

    def fill(self, key: str, number: int, kept: Kept) -> None:
        """Holds what was read, unless the key was forgotten since: what was read may be from before."""
        if self._awaited.get(key) != number:
            return
        del self._awaited[key]
        self._remove(key)
        size = _size(key, kept.data)
        if size > self._max_bytes:
            return
        self.bytes += size
        self._held[key] = _Entry(kept)
        self._make_room()

    def forget(self, key: str) -> None:
        """The key has changed."""
        self._awaited.pop(key, None)
        self._remove(key)

    def clear(self) -> None:
        """Any key may have changed."""
        self._awaited.clear()
        self._held.clear()
        self.bytes = 0

    def _remove(self, key: str) -> None:
        entry = self._held.pop(key, None)
        if entry is not None:
            self.bytes -= _size(key, entry.kept.data)

    def _make_room(self) -> None:
        while self.bytes > self._max_bytes:
            key, entry = next(iter(self._held.items()))
            if entry.used:
                entry.used = False
                self._held.move_to_end(key)
            else:
                self._remove(key)


def _size(key: str, data: bytes) -> int:
    return len(key) + len(data) + OVERHEAD

"""How values are cached."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from . import codec
from .codec import Format
from .errors import ValueInvalid
from .freshness import Freshness

V = TypeVar("V")

# What says that a loader found nothing, in each form.
ABSENT = b"null"


@dataclass(frozen=True)
class LoadOnce:
    """Has one process of all load a value. It holds a lock of the keyspace ``locks`` meanwhile, and the others wait for
    the value, for ``wait`` seconds at most; then they load it themselves. They ask 4 to 100 times a second.

    The contract has to grant ``locks`` for writing, with one placeholder in its key. Its TTL is how long a process that
    died holds the others up, and how long a load may take before another begins. Give loads a keyspace of locks of
    their own: its holders may release each other's. A loader that finds nothing is followed by the next one that waits,
    unless that is remembered (``remember_absent``). Where the lock cannot be had for an error, each process loads.

    One round trip more for a load that nobody else makes.
    """

    locks: str
    wait: float = 2.0


@dataclass(frozen=True)
class Near:
    """Values held in the memory of this process, at most ``max_bytes`` of keys and stored values (as they are encoded).

    Of every value that it holds the server is to tell when it changes: by **client tracking**, which covers whatever
    changes it, or, where the service lacks the right to that (``+client|tracking``, not granted by default), by the
    **events** of ``invalidated_by``, which cover those who emit them. Where there is neither, nothing is held.
    """

    max_bytes: int
    # No answer is older than so many seconds where the server was to tell of the change: it is asked four times within
    # them, and once a second at least, whether it has told all; while it does not say so values are read from it again.
    staleness: float = 2.0
    # No value is held for longer than so many seconds, whoever changes it.
    max_age: float = 30.0
    # A channel or a group each, as for `EventBus.subscribe`. An event whose data has all placeholders of the keyspace's
    # key as its fields (`{"id": 7}` for `agent:{id}`) means one value, any other the whole keyspace.
    invalidated_by: Sequence[str] = ()


@dataclass(frozen=True)
class Rules(Generic[V]):
    """How values are stored, and for how long they are good."""

    format: Format = "json"
    compress_above: int = 0
    max_bytes: int = 1024 * 1024
    encode: Callable[[V], Any] | None = None
    decode: Callable[[Any], V] | None = None
    # Seconds; `None`: the contract's.
    ttl: float | None = None
    # The part of a life by which it is shortened at most.
    jitter: float = 0.0
    # Seconds for which it is remembered that a loader found nothing; 0: not at all.
    absent_for: float = 0.0
    freshness: Freshness = field(default_factory=Freshness)

    def plain(self, value: V) -> Any:
        """The value as every language has it; ``ValueInvalid`` where it is ``None``."""
        plain = self.encode(value) if self.encode else value
        if plain is None:
            raise ValueInvalid("None stands for no value and cannot be stored")
        return plain

    def encoded(self, value: V) -> bytes:
        """The bytes to store."""
        return codec.encode(
            self.plain(value), self.format, compress_above=self.compress_above, max_bytes=self.max_bytes
        )

    def decoded(self, data: bytes) -> V | None:
        """The value of stored bytes; ``None``: they say that there is nothing."""
        plain = codec.decode(data)
        if plain is None or self.decode is None:
            # The caller has said with V what the keyspace holds.
            return plain  # type: ignore[no-any-return]
        try:
            return self.decode(plain)
        except Exception:
            raise ValueInvalid("a stored value cannot be decoded") from None

    def lifetime(self, ttl: float) -> int:
        """For how many milliseconds a value is stored that is good for ``ttl`` seconds."""
        return _milliseconds(self._jittered(ttl) + self.freshness.stale_for)

    def absent_lifetime(self) -> int:
        """The same where there is nothing."""
        return _milliseconds(self._jittered(self.absent_for))

    def _jittered(self, ttl: float) -> float:
        return ttl * (1 - self.jitter * random.random())  # noqa: S311


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))

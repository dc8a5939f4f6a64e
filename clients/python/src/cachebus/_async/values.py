"""Stored values of a keyspace, as its rules say."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from .. import errors
from ..breaker import Breaker
from ..caching import ABSENT, Rules
from ..contract import KeyspaceSpec
from ..keys import Parts
from ..metrics import Metrics
from .connection import Command, Connection
from .near import Held, NearCache, held

V = TypeVar("V")

# Commands sent, or keys deleted, at once.
BATCH = 500
# Keys that a server looks at for one SCAN.
SCAN_COUNT = 500

# What a key holds, `None` where that says that a loader found nothing; and the seconds that it stays, `None` where it
# has no end, or nobody asked for that.
Found: TypeAlias = "tuple[V | None, float | None]"


class Values(Generic[V]):
    """Reads and writes of one keyspace."""

    def __init__(
        self,
        name: str,
        connection: Connection,
        metrics: Metrics,
        breaker: Breaker,
        rules: Rules[V],
        near: NearCache | None,
    ) -> None:
        self.name = name
        self.rules = rules
        self.near = near
        self.connection = connection
        self._metrics = metrics
        self._breaker = breaker

    @property
    def enabled(self) -> bool:
        return self.connection.settings.use_cache and self.connection.contract.cache_enabled

    @property
    def spec(self) -> KeyspaceSpec:
        return self.connection.contract.keyspace(self.name)

    @property
    def stores(self) -> bool:
        """Whether what is loaded can be stored."""
        return self.enabled and self.spec.writable

    def key(self, parts: Parts) -> str:
        return self.spec.template.key(parts)

    def time_to_live(self, ttl: float | None) -> float:
        """For how many seconds a value is good, if nothing else is said."""
        ttl = self.rules.ttl if ttl is None else ttl
        return self.spec.ttl_ms / 1000 if ttl is None else ttl

    async def look_up(self, key: str, *, with_life: bool = False) -> Found[V] | None:
        """What a key holds; ``ValueInvalid`` where that is no value."""
        if not self.enabled:
            return None
        if self.near is not None and (kept := await self.near.look_up(key)) is not None:
            data, left = kept
        elif with_life:
            data, left = held(*await self.ask(reading(key)))
        else:
            [data], left = await self.ask([("GET", key)]), None
        if data is None:
            self.count(0, 1)
            return None
        self.count(1, 0)
        return self.decoded(data), left

    def found(self, kept: Held) -> Found[V] | None:
        return None if kept.data is None else (self.decoded(kept.data), kept.left)

    def decoded(self, data: bytes) -> V | None:
        try:
            return self.rules.decoded(data)
        except errors.ValueInvalid as error:
            raise errors.ValueInvalid(f"{self.name}: {error}") from None

    def count(self, hits: int, misses: int) -> None:
        """Tells the metrics what was found."""
        if hits:
            self._metrics.hit(self.name, hits)
        if misses:
            self._metrics.miss(self.name, misses)

    def storing(self, key: str, value: V, ttl: float | None, *options: str) -> Command:
        """The command that stores a value for its time."""
        lifetime = self.rules.lifetime(self.time_to_live(ttl))
        return ("SET", key, self.rules.encoded(value), "PX", lifetime, *options)

    def storing_absent(self, key: str, *options: str) -> Command:
        """The command that stores that there is nothing."""
        return ("SET", key, ABSENT, "PX", self.rules.absent_lifetime(), *options)

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Replies for a caller who can do without: within one ``command_timeout``, and refused at once while the server
        is left alone. The first error is raised."""
        if not self._breaker.allows():
            raise errors.Unavailable("the cache failed just now, and is left alone for a while")
        try:
            replies = await self.send(commands, within=self.connection.settings.command_timeout)
        except errors.CacheBusError as error:
            if error.retryable:
                self._breaker.failed()
            raise
        self._breaker.succeeded()
        return replies

    async def send(self, commands: Sequence[Command], *, within: float = 0) -> list[Any]:
        """Replies; the first error is raised, and the others may be done all the same."""
        replies = await self.connection.pipeline(commands, safe=True, within=within)
        for reply in replies:
            if isinstance(reply, errors.CacheBusError):
                raise reply
        return replies

    async def unlink(self, keys: Sequence[str | bytes]) -> int:
        return int(await self.connection.call("UNLINK", *keys, safe=True))

    @contextlib.contextmanager
    def changing(self, keys: Sequence[str | bytes]) -> Iterator[None]:
        """What this process holds of these keys goes when they have been changed, or that was given up."""
        try:
            yield
        finally:
            if self.near is not None:
                self.near.forget(keys)

    async def matching(self, parts: Parts) -> AsyncIterator[list[bytes]]:
        """The keyspace's keys whose parts match, some at a time; of some it may say twice that they are there."""
        template = self.spec.template
        pattern = template.pattern(parts)
        cursor, generation = b"0", self.connection.generation
        while True:
            cursor, found = await self.connection.call("SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT, safe=True)
            if generation != self.connection.generation:
                # Cursors of one server say nothing to another.
                cursor, generation = b"0", self.connection.generation
                continue
            # Globs let a placeholder span colons: keys of others are left alone.
            yield [key for key in found if template.matches(key.decode(errors="replace"))]
            if cursor == b"0":
                return


def reading(key: str) -> list[Command]:
    """Asks for a value and how long it stays; for :func:`held`."""
    return [("GET", key), ("PTTL", key)]


T = TypeVar("T")


def batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]

"""The values of one keyspace."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from .. import codec, errors
from ..breaker import Breaker
from ..codec import Format
from ..contract import KeyspaceSpec
from ..keys import Parts
from ..metrics import Metrics
from .connection import Command, Connection
from .primitives import SingleFlight

V = TypeVar("V")
_log = logging.getLogger("cachebus")

# Commands sent, or keys deleted, at once.
BATCH = 500
# Keys that a server looks at for one SCAN.
SCAN_COUNT = 500


class Keyspace(Generic[V]):
    """Values of a keyspace of the contract; from :meth:`Cache.keyspace`.

    ``None`` is no value: it stands for "not there". Reads and writes are each one round trip. While the cache is off
    (``USE_CACHE=false``, or ``cache.enabled`` in the contract) reads find nothing and writes do nothing; deletions are
    sent nevertheless, for other services may use the cache.
    """

    def __init__(
        self,
        name: str,
        connection: Connection,
        metrics: Metrics,
        breaker: Breaker,
        *,
        format: Format = "json",
        compress_above: int = 0,
        max_bytes: int = 1024 * 1024,
        encode: Callable[[V], Any] | None = None,
        decode: Callable[[Any], V] | None = None,
    ) -> None:
        self.name = name
        self._connection = connection
        self._metrics = metrics
        self._breaker = breaker
        self._format: Format = format
        self._compress_above = compress_above
        self._max_bytes = max_bytes
        self._to_plain = encode
        self._of_plain = decode
        self._flights: SingleFlight[V | None] = SingleFlight()

    @property
    def enabled(self) -> bool:
        """Whether values are read and written."""
        return self._connection.settings.use_cache and self._connection.contract.cache_enabled

    def key(self, parts: Parts = None) -> str:
        """The key for these parts."""
        return self._spec().template.key(parts)

    async def get(self, parts: Parts = None) -> V | None:
        """The value, or ``None``. ``ValueInvalid`` where the stored bytes are none."""
        [value] = await self.mget([parts])
        return value

    async def mget(self, many: Sequence[Parts]) -> list[V | None]:
        """The values in the order asked for, ``None`` for each that is not there. One MGET."""
        keys = [self.key(parts) for parts in many]
        if not keys or not self.enabled:
            return [None] * len(keys)
        stored = await self._read("GET" if len(keys) == 1 else "MGET", *keys)
        found: list[bytes | None] = [stored] if len(keys) == 1 else stored
        hits = len(found) - found.count(None)
        self._metrics.hit(self.name, hits)
        self._metrics.miss(self.name, len(found) - hits)
        return [None if data is None else self._decoded(data) for data in found]

    async def exists(self, parts: Parts = None) -> bool:
        """Whether there is a value."""
        key = self.key(parts)
        return self.enabled and bool(await self._read("EXISTS", key))

    async def set(self, parts: Parts, value: V, *, ttl: float | None = None) -> None:
        """Stores a value for the keyspace's TTL, or for ``ttl`` seconds.

        Repeated until an answer comes: of two that set a value at the same time either may be the last.
        """
        await self.mset([(parts, value)], ttl=ttl)

    async def mset(self, values: Iterable[tuple[Parts, V]], *, ttl: float | None = None) -> None:
        """Stores many, each with its TTL, in pipelines. Not all or nothing: where one fails, others may be stored."""
        await self._store(values, ttl, self._connection.settings.deadline)

    async def delete(self, *many: Parts) -> int:
        """Removes values (UNLINK) and says how many there were. Without an argument: the key of a template without
        parts."""
        keys = [self.key(parts) for parts in many or (None,)]
        removed = 0
        for batch in _batches(keys):
            removed += await self._connection.call("UNLINK", *batch, safe=True)
        return removed

    async def delete_matching(self, parts: Parts = None) -> int:
        """Removes all values whose parts match, e.g. ``{"agent": "a1"}`` or ``"7*"``; nothing given: the keyspace.

        SCAN and UNLINK in batches: O(all keys of the server), a bounded part of it at a time. Needs the right ``scan``,
        which is not part of ``write`` (functions/README.md). Values that are set meanwhile may stay.
        """
        template = self._spec().template
        pattern = template.pattern(parts)
        removed, cursor, generation = 0, b"0", self._connection.generation
        while True:
            cursor, found = await self._connection.call(
                "SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT, safe=True
            )
            if generation != self._connection.generation:
                # Cursors of one server say nothing to another.
                cursor, generation = b"0", self._connection.generation
                continue
            # Globs let a placeholder span colons: keys of others are left alone.
            keys = [key for key in found if template.matches(key.decode(errors="replace"))]
            if keys:
                removed += await self._connection.call("UNLINK", *keys, safe=True)
            if cursor == b"0":
                return removed

    async def get_or_load(
        self, parts: Parts, load: Callable[[], Awaitable[V | None]], *, ttl: float | None = None
    ) -> V | None:
        """The value, or what ``load`` returns, which is then stored. ``None`` is not stored.

        Calls for the same key at the same time within this process share one ``load``. Errors of the cache are not
        the caller's: they are logged, and ``load`` answers. A cache that does not answer costs at most
        ``connect_timeout`` and ``command_timeout``, and nothing for a while after a few such failures. Errors of
        ``load`` are raised.
        """
        key = self.key(parts)

        async def fly() -> V | None:
            value, stores = await self._found(parts)
            if value is None:
                value = await load()
                if value is not None and stores:
                    await self._keep(parts, value, ttl)
            return value

        return await self._flights.do(key, fly)

    async def _found(self, parts: Parts) -> tuple[V | None, bool]:
        """The value, and whether it is worth storing one."""
        try:
            return await self.get(parts), True
        except errors.CacheBusError as error:
            _log.warning("cache read of %s failed: %s", self.name, error)
            return None, isinstance(error, errors.ValueInvalid)

    async def _keep(self, parts: Parts, value: V, ttl: float | None) -> None:
        if not self._spec().writable:
            return
        try:
            await self._store([(parts, value)], ttl, self._connection.settings.command_timeout)
        except errors.CacheBusError as error:
            _log.warning("cache write of %s failed: %s", self.name, error)

    async def _store(self, values: Iterable[tuple[Parts, V]], ttl: float | None, within: float) -> None:
        milliseconds = self._milliseconds(ttl)
        commands: list[Command] = [
            ("SET", self.key(parts), self._encoded(value), "PX", milliseconds) for parts, value in values
        ]
        if not self.enabled:
            return
        for batch in _batches(commands):
            for reply in await self._connection.pipeline(batch, safe=True, within=within):
                if isinstance(reply, errors.CacheBusError):
                    raise reply

    async def _read(self, *command: str) -> Any:
        if not self._breaker.allows():
            raise errors.Unavailable("the cache failed just now, and is left alone for a while")
        try:
            within = self._connection.settings.command_timeout
            reply = await self._connection.call(*command, safe=True, within=within)
        except errors.CacheBusError as error:
            if error.retryable:
                self._breaker.failed()
            raise
        self._breaker.succeeded()
        return reply

    def _spec(self) -> KeyspaceSpec:
        return self._connection.contract.keyspace(self.name)

    def _milliseconds(self, ttl: float | None) -> int:
        return self._spec().ttl_ms if ttl is None else max(1, round(ttl * 1000))

    def _encoded(self, value: V) -> bytes:
        plain = self._to_plain(value) if self._to_plain else value
        if plain is None:
            raise errors.ValueInvalid("None stands for no value and cannot be stored")
        return codec.encode(plain, self._format, compress_above=self._compress_above, max_bytes=self._max_bytes)

    def _decoded(self, data: bytes) -> V:
        plain = codec.decode(data)
        if self._of_plain is None:
            # The caller has said with V what the keyspace holds.
            return plain  # type: ignore[no-any-return]
        try:
            return self._of_plain(plain)
        except Exception:
            raise errors.ValueInvalid(f"a stored value of {self.name} cannot be decoded") from None


T = TypeVar("T")


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]

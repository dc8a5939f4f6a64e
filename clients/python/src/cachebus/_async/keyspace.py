"""The values of one keyspace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from ..consistency import Consistency
from ..keys import Parts
from ..warming import Entry, Warmed
from .consistency import Check
from .loading import Loading
from .primitives import Feed
from .values import Values, batches
from .warming import warm

V = TypeVar("V")


class Keyspace(Generic[V]):
    """Values of a keyspace of the contract; from :meth:`Cache.keyspace`.

    ``None`` is no value: it stands for "not there". Reads and writes are each one round trip. While the cache is off
    (``USE_CACHE=false``, or ``cache.enabled`` in the contract) reads find nothing and writes do nothing; deletions are
    sent nevertheless, for other services may use the cache.
    """

    def __init__(self, values: Values[V], loading: Loading[V]) -> None:
        self.name = values.name
        self._values = values
        self._loading = loading

    @property
    def enabled(self) -> bool:
        """Whether values are read and written."""
        return self._values.enabled

    def key(self, parts: Parts = None) -> str:
        """The key for these parts."""
        return self._values.key(parts)

    async def get(self, parts: Parts = None) -> V | None:
        """The value, or ``None``. ``ValueInvalid`` where the stored bytes are none."""
        found = await self._values.look_up(self.key(parts))
        return None if found is None else found[0]

    async def mget(self, many: Sequence[Parts]) -> list[V | None]:
        """The values in the order asked for, ``None`` for each that is not there. One MGET, also with a near cache."""
        keys = [self.key(parts) for parts in many]
        if not keys or not self.enabled:
            return [None] * len(keys)
        [stored] = await self._values.ask([("MGET", *keys)])
        misses = stored.count(None)
        self._values.count(len(stored) - misses, misses)
        return [None if data is None else self._values.decoded(data) for data in stored]

    async def exists(self, parts: Parts = None) -> bool:
        """Whether something is stored there, if only that there is nothing (``remember_absent``)."""
        key = self.key(parts)
        if not self.enabled:
            return False
        [number] = await self._values.ask([("EXISTS", key)])
        return bool(number)

    async def set(self, parts: Parts, value: V, *, ttl: float | None = None) -> None:
        """Stores a value for the keyspace's TTL, or for ``ttl`` seconds.

        Repeated until an answer comes: of two that set a value at the same time either may be the last.
        """
        await self.mset([(parts, value)], ttl=ttl)

    async def mset(self, values: Iterable[tuple[Parts, V]], *, ttl: float | None = None) -> None:
        """Stores many, each with its TTL, in pipelines. Not all or nothing: where one fails, others may be stored."""
        keys, commands = [], []
        for parts, value in values:
            key = self.key(parts)
            commands.append(self._values.storing(key, value, ttl))
            keys.append(key)
        if not self.enabled:
            return
        with self._values.changing(keys):
            for batch in batches(commands):
                await self._values.send(batch)

    async def delete(self, *many: Parts) -> int:
        """Removes values (UNLINK) and says how many there were. Without an argument: the key of a template without
        parts."""
        keys = [self.key(parts) for parts in many or (None,)]
        removed = 0
        with self._values.changing(keys):
            for batch in batches(keys):
                removed += await self._values.unlink(batch)
        return removed

    async def delete_matching(self, parts: Parts = None) -> int:
        """Removes all values whose parts match, e.g. ``{"agent": "a1"}`` or ``"7*"``; nothing given: the keyspace.

        SCAN and UNLINK in batches: O(all keys of the server), a bounded part of it at a time. Needs the right ``scan``,
        which is not part of ``write`` (functions/README.md). Values that are set meanwhile may stay.
        """
        removed = 0
        async for keys in self._values.matching(parts):
            if keys:
                with self._values.changing(keys):
                    removed += await self._values.unlink(keys)
        return removed

    async def get_or_load(
        self, parts: Parts, load: Callable[[], Awaitable[V | None]], *, ttl: float | None = None
    ) -> V | None:
        """The value, or what ``load`` returns, which is then stored. ``None`` is stored with ``remember_absent`` alone.

        Calls for the same key at the same time within this process share one ``load``. Errors of the cache are not
        the caller's: they are logged, and ``load`` answers. A cache that does not answer costs at most
        ``connect_timeout`` and ``command_timeout``, and nothing for a while after a few such failures. Errors of
        ``load`` are raised. A value beyond its time (``stale_for``) is loaded like one that is missing, and answers
        where ``load`` fails.
        """
        return await self._loading.get(self.key(parts), load, ttl, refresh=False)

    async def get_or_refresh(
        self, parts: Parts, load: Callable[[], Awaitable[V | None]], *, ttl: float | None = None
    ) -> V | None:
        """As :meth:`get_or_load`, and a value that is to be loaded again answers at once while ``load`` runs in the
        background: in the last part of its time with ``refresh_early``, beyond its time with ``stale_for``.

        One load for each key runs in the background of a client, of 32 keys at the same time, and none within a second
        of one that failed; its error is logged. What it returns is stored only where a value is still there: what was
        removed meanwhile is not put back. ``None`` removes the value. So an answer is at most as old as the TTL,
        ``stale_for``, and the time that its load took.
        """
        return await self._loading.get(self.key(parts), load, ttl, refresh=True)

    async def warm(
        self,
        entries: Feed[Entry[V] | tuple[Parts, V]],
        *,
        at_once: int = 4,
        replace: bool = False,
        progress: Callable[[Warmed], None] = lambda _: None,
    ) -> Warmed:
        """Stores what ``entries`` yields, in batches (500 values or 1 MiB) of which ``at_once`` are on their way at the
        same time: it is asked for no more than that. ``progress`` is told how far it is; the last time is the result.

        What is there stays, for a service may have written it after the entry was read; ``replace``: it does not. Ends
        at the first error: of ``entries``, or of the server after its repetitions. What was stored stays, and beginning
        anew does no harm. While the cache is off nothing is stored and nothing is asked for. An entry that is no value
        is counted and left out.
        """
        return await warm(self._values, entries, at_once=at_once, replace=replace, progress=progress)

    async def check_consistency(
        self,
        load: Callable[[Parts], Awaitable[V | None]],
        *,
        among: Feed[Parts] | None = None,
        sample: int = 1000,
        at_once: int = 4,
        settle: float = 1.0,
    ) -> Consistency:
        """Compares a sample of the cached values with what ``load`` returns for their parts: what the database has.

        ``among``: the keys of which ``sample`` are chosen by chance, such as all ids of a table; without it those that
        are cached, which needs the right ``scan`` and is O(all keys of the server), and ``load`` gets their parts as
        text. ``at_once``: loads at the same time, with threads in some of their own. What differs is looked at again
        after ``settle`` seconds, and counts where it does so still: a writer may have been between its database and the
        cache. Values are compared as they are stored.

        Reads only, and reads the server, whatever is held near. Errors are raised; while the cache is off nothing is
        sampled.
        """
        return await Check(self._values, load, at_once).run(among, sample, settle)

    def _changing(self, keys: Sequence[str]) -> AbstractContextManager[None]:
        """Around a change of these keys by others than this class: what is held of them goes."""
        return self._values.changing(keys)

"""Locks by which work is not done twice."""

from __future__ import annotations

import logging
import random
import secrets
import time
from dataclasses import dataclass
from types import TracebackType

from .. import errors, fcall
from ..contract import KeyspaceSpec
from .connection import Connection
from .primitives import Flag, Repeat, sleep

_log = logging.getLogger("cachebus")

LONGEST_PAUSE = 0.25


@dataclass(frozen=True, order=True)
class Fence:
    """A number that rises with each holder: epoch of the primary first, then its counter.

    Hand it to whatever the lock guards, and have that refuse a lower one than it has seen.
    """

    epoch: int
    counter: int


class Locks:
    """The locks of one keyspace of the kind Lock; from :meth:`CacheBus.locks`.

    They save work; alone they do not guard data. A failover may lose the newest lock, and a paused process does not
    notice that its lock ran out: what must not happen twice checks the :class:`Fence`.
    """

    def __init__(self, connection: Connection, keyspace: str) -> None:
        self._connection = connection
        self._keyspace = keyspace
        if not self._spec().lock:
            raise errors.ContractError(f"{keyspace} holds values, not locks")

    def lock(self, resource: str | int, *, wait: float = 0, ttl: float | None = None) -> Lock:
        """A lock to enter with ``async with``. ``wait``: seconds to wait for another holder; then ``LockBusy``.

        It is kept alive until it is left. ``ttl``, by default the keyspace's, is how long it outlives a holder that
        died.
        """
        spec = self._spec()
        milliseconds = spec.ttl_ms if ttl is None else max(1, round(ttl * 1000))
        return Lock(self._connection, spec.template.key(resource), milliseconds, wait)

    def _spec(self) -> KeyspaceSpec:
        return self._connection.contract.keyspace(self._keyspace)


class Lock:
    """One lock, for one use."""

    def __init__(self, connection: Connection, key: str, ttl_ms: int, wait: float) -> None:
        self._connection = connection
        self._key = key
        self._ttl_ms = ttl_ms
        self._wait = wait
        self._token = secrets.token_urlsafe(16)
        self._until = 0.0
        self._lost = Flag()
        self._fence = Fence(0, 0)
        self._keeper = Repeat(ttl_ms / 3000, self._keep)

    @property
    def fence(self) -> Fence:
        """The number of this holder."""
        return self._fence

    @property
    def held(self) -> bool:
        """Whether the lock is held for all that this process can know."""
        return not self._lost.is_set() and time.monotonic() < self._until

    def check(self) -> None:
        """Raises ``LockLost`` where it is not held any more."""
        if not self.held:
            raise errors.LockLost("the lock ran out or was taken away")

    async def lost(self, timeout: float) -> bool:
        """Waits until it is known to be lost; ``False`` where that does not happen in time."""
        return await self._lost.wait(timeout)

    async def acquire(self) -> None:
        """Takes the lock and keeps it alive; ``LockBusy`` where another holds it for as long as was to be waited."""
        until = time.monotonic() + self._wait
        while True:
            asked = time.monotonic()
            held, epoch, counter, left = await self._connection.call(
                *fcall.lock(self._key, self._token, self._ttl_ms, self._connection.epoch), safe=True
            )
            if held:
                break
            pause = min(max(left / 1000, 0.01), LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
            if time.monotonic() + pause >= until:
                raise errors.LockBusy("another holds the lock")
            await sleep(pause)
        self._until = asked + self._ttl_ms / 1000
        self._fence = Fence(epoch, counter)
        await self._keeper.start()

    async def release(self) -> bool:
        """Gives the lock up; ``False`` where it was not held any more. Another's lock is never released."""
        await self._keeper.stop()
        self._until = 0.0
        self._lost.set()
        return bool(await self._connection.call(*fcall.unlock(self._key, self._token), safe=True))

    async def __aenter__(self) -> Lock:
        await self.acquire()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self.release()
        except errors.CacheBusError as problem:
            # It runs out by itself, and what was done under it is done.
            _log.warning("a lock could not be released: %s", problem)

    async def _keep(self) -> bool:
        """Lengthens the lock; ends when it is lost."""
        asked = time.monotonic()
        try:
            kept = await self._connection.call(*fcall.extend(self._key, self._token, self._ttl_ms), safe=True)
        except errors.CacheBusError as problem:
            _log.warning("a lock could not be extended: %s", problem)
            kept = time.monotonic() < self._until
        else:
            self._until = asked + self._ttl_ms / 1000
        if not kept:
            self._lost.set()
        return bool(kept)

"""The cache of a service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ParamSpec, TypeVar, overload

from ..breaker import Breaker
from ..caching import LoadOnce, Near, Rules
from ..codec import Format
from ..errors import ContractError
from ..freshness import Freshness
from ..keys import Parts
from ..metrics import Metrics
from ..turns import Turns
from .cached import Cached
from .claims import Claims
from .connection import Connection
from .keyspace import Keyspace
from .loading import Loading
from .near import NearCache
from .primitives import Background
from .values import Values

V = TypeVar("V")
P = ParamSpec("P")

# Values that are loaded in the background at the same time.
REFRESHED_AT_ONCE = 32


class Cache:
    """The keyspaces that the contract grants."""

    def __init__(self, connection: Connection, metrics: Metrics) -> None:
        self._connection = connection
        self._metrics = metrics
        settings = connection.settings
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_pause)
        self._background = Background()
        self._turns = Turns(REFRESHED_AT_ONCE)
        self._near: list[NearCache] = []

    def keyspace(
        self,
        name: str,
        *,
        format: Format = "json",
        compress_above: int = 0,
        max_bytes: int = 1024 * 1024,
        encode: Callable[[V], Any] | None = None,
        decode: Callable[[Any], V] | None = None,
        ttl: float | None = None,
        ttl_jitter: float = 0.0,
        remember_absent: float = 0.0,
        refresh_early: float = 0.0,
        stale_for: float = 0.0,
        load_once: LoadOnce | None = None,
        near: Near | None = None,
    ) -> Keyspace[V]:
        """A keyspace by its name; ``ContractError`` where the contract has none of it, or only locks. Ask when the
        service starts: what is wrong shows then, and calls share one load only where they share the keyspace.

        ``encode`` and ``decode`` turn the service's own type into plain values and back. Every form is read, whatever
        ``format`` writes. Times are seconds:

        - ``ttl``: values are stored for so long, in place of the contract's time.
        - ``ttl_jitter``: each life is shortened by a random part of it, at most this one (0 to 1), so that what was
          stored together does not run out together.
        - ``remember_absent``: that a loader found nothing is remembered for so long, as ``null``, which every client
          takes for "not there".
        - ``refresh_early``: :meth:`Keyspace.get_or_refresh` loads a value again in this last part of its time (0 to 1),
          ahead of its end, so that nobody waits for a value that is asked for often. 0.2 of an hour: from 48 minutes
          on. The nearer the end, the likelier a read begins it: of many processes rather one than all.
        - ``stale_for``: values are stored for so long beyond their time, in which they are stale: ``get_or_refresh``
          answers with them at once and loads them anew in the background, ``get_or_load`` answers with them where the
          loader fails. Nothing but the lifetime tells a stale value: who reads without this option, also
          :meth:`Keyspace.get` and clients in other languages, takes it for good until it is gone.
        - ``load_once``: one process of all loads. ``ContractError`` where the contract does not grant the locks.
        - ``near``: values that were read are held in the memory of this process, as long as the server would tell of a
          change; ``get`` and what loads values are then answered without it, and what this keyspace has written, or
          :meth:`EventBus.invalidate` has removed of it, is seen at once. Takes a connection of its own, from the first
          read until the client is closed. While it is not there nothing is held, and values are read as without this.
          ``ContractError`` where the service does not subscribe to the channels.
        """
        if self._connection.contract.keyspace(name).lock:
            raise ContractError(f"{name} holds locks, not values")
        rules: Rules[V] = Rules(
            format=format,
            compress_above=compress_above,
            max_bytes=max_bytes,
            encode=encode,
            decode=decode,
            ttl=ttl,
            jitter=_part(ttl_jitter),
            absent_for=remember_absent,
            freshness=Freshness(_part(refresh_early), stale_for),
        )
        held = None if near is None else NearCache(name, self._connection, near, self._background)
        values = Values(name, self._connection, self._metrics, self._breaker, rules, held)
        claims = None if load_once is None else Claims(values, load_once)
        if held is not None:
            self._near.append(held)
        return Keyspace(values, Loading(values, claims, self._background, self._turns))

    @overload
    def cached(
        self,
        keyspace: Keyspace[V],
        *,
        key: Callable[..., Parts] | None = None,
        ttl: float | None = None,
        refresh: bool = True,
    ) -> Callable[[Callable[P, Awaitable[V | None]]], Cached[P, V]]: ...

    @overload
    def cached(
        self,
        keyspace: str,
        *,
        key: Callable[..., Parts] | None = None,
        ttl: float | None = None,
        refresh: bool = True,
        format: Format = "json",
        compress_above: int = 0,
        max_bytes: int = 1024 * 1024,
        encode: Callable[[V], Any] | None = None,
        decode: Callable[[Any], V] | None = None,
        ttl_jitter: float = 0.0,
        remember_absent: float = 0.0,
        refresh_early: float = 0.0,
        stale_for: float = 0.0,
        load_once: LoadOnce | None = None,
        near: Near | None = None,
    ) -> Callable[[Callable[P, Awaitable[V | None]]], Cached[P, V]]: ...

    def cached(
        self,
        keyspace: Keyspace[V] | str,
        *,
        key: Callable[..., Parts] | None = None,
        ttl: float | None = None,
        refresh: bool = True,
        **options: Any,
    ) -> Callable[[Callable[P, Awaitable[V | None]]], Cached[P, V]]:
        """A decorator: the function's results are values of the keyspace, one that was made or, with the options of
        :meth:`keyspace`, one of the contract by its name.

        Its parameters named as the template's placeholders make the key; any others do not, so that two calls which
        differ in them only share a value. Or ``key`` makes its parts of the same arguments.

        With ``refresh_early`` or ``stale_for`` a value that is to be loaded again answers at once, and the function
        runs in the background (:meth:`Keyspace.get_or_refresh`); ``refresh=False``: the caller waits for it
        (:meth:`Keyspace.get_or_load`).
        """
        if options and not isinstance(keyspace, str):
            raise TypeError(f"options of {keyspace.name} are said where it is made: {', '.join(options)}")
        values: Keyspace[V] = self.keyspace(keyspace, **options) if isinstance(keyspace, str) else keyspace
        placeholders = self._connection.contract.keyspace(values.name).template.placeholders
        return lambda function: Cached(function, values, placeholders, key, ttl, refresh)

    async def close(self) -> None:
        """Ends what runs in the background, and drops what is held near."""
        for near in self._near:
            await near.close()
        await self._background.close()


def _part(part: float) -> float:
    return min(max(part, 0.0), 1.0)

"""The cache of a service."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar

from ..breaker import Breaker
from ..codec import Format
from ..contract import Contract
from ..errors import ContractError
from ..keys import Part
from ..metrics import Metrics
from .connection import Connection
from .keyspace import Keyspace

V = TypeVar("V")
P = ParamSpec("P")


class Cache:
    """The keyspaces that the contract grants."""

    def __init__(self, connection: Connection, metrics: Metrics) -> None:
        self._connection = connection
        self._metrics = metrics
        settings = connection.settings
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_pause)

    def keyspace(
        self,
        name: str,
        *,
        format: Format = "json",
        compress_above: int = 0,
        max_bytes: int = 1024 * 1024,
        encode: Callable[[V], Any] | None = None,
        decode: Callable[[Any], V] | None = None,
    ) -> Keyspace[V]:
        """A keyspace by its name; ``ContractError`` where the contract has none of it, or only locks.

        ``encode`` and ``decode`` turn the service's own type into plain values and back. Every form is read, whatever
        ``format`` writes.
        """
        spec = self._connection.contract.keyspace(name)
        if spec.lock:
            raise ContractError(f"{name} holds locks, not values")
        return Keyspace(
            name,
            self._connection,
            self._metrics,
            self._breaker,
            format=format,
            compress_above=compress_above,
            max_bytes=max_bytes,
            encode=encode,
            decode=decode,
        )

    def cached(
        self, keyspace: Keyspace[V] | str, *, ttl: float | None = None
    ) -> Callable[[Callable[P, Awaitable[V | None]]], Cached[P, V]]:
        """A decorator: the function's results are values of the keyspace.

        Its parameters named as the template's placeholders make the key; any others do not, so that two calls which
        differ in them only share a value.
        """
        values: Keyspace[V] = self.keyspace(keyspace) if isinstance(keyspace, str) else keyspace
        contract = self._connection.contract
        return lambda function: Cached(function, values, _placeholders(contract, values), ttl)


class Cached(Generic[P, V]):
    """A function whose results are cached."""

    def __init__(
        self,
        function: Callable[P, Awaitable[V | None]],
        keyspace: Keyspace[V],
        placeholders: list[str],
        ttl: float | None,
    ) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._keyspace = keyspace
        self._placeholders = placeholders
        self._ttl = ttl
        self._signature = inspect.signature(function)
        missing = set(placeholders) - set(self._signature.parameters)
        if missing:
            raise ContractError(f"{keyspace.name} needs parameters of the names {', '.join(sorted(missing))}")

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> V | None:
        parts = self._parts(*args, **kwargs)
        return await self._keyspace.get_or_load(parts, lambda: self._function(*args, **kwargs), ttl=self._ttl)

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Removes the result for these arguments; says whether there was one."""
        return bool(await self._keyspace.delete(self._parts(*args, **kwargs)))

    def _parts(self, *args: P.args, **kwargs: P.kwargs) -> Mapping[str, Part]:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return {name: bound.arguments[name] for name in self._placeholders}


def _placeholders(contract: Contract, keyspace: Keyspace[V]) -> list[str]:
    return contract.keyspace(keyspace.name).template.placeholders

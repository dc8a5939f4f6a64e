"""Functions that read through the cache."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

from ..errors import ContractError
from ..keys import Parts
from .keyspace import Keyspace

V = TypeVar("V")
P = ParamSpec("P")


class Cached(Generic[P, V]):
    """A function whose results are cached; from :meth:`Cache.cached`."""

    def __init__(
        self,
        function: Callable[P, V | None],
        keyspace: Keyspace[V],
        placeholders: list[str],
        key: Callable[..., Parts] | None,
        ttl: float | None,
        refresh: bool,
    ) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._keyspace = keyspace
        self._placeholders = placeholders
        self._key = key
        self._ttl = ttl
        self._refresh = refresh
        self._signature = inspect.signature(function)
        missing = set(placeholders) - set(self._signature.parameters)
        if missing and key is None:
            raise ContractError(f"{keyspace.name} needs parameters of the names {', '.join(sorted(missing))}")

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> V | None:
        get = self._keyspace.get_or_refresh if self._refresh else self._keyspace.get_or_load
        return get(self._parts(*args, **kwargs), lambda: self._function(*args, **kwargs), ttl=self._ttl)

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Removes the result for these arguments; says whether there was one."""
        return bool(self._keyspace.delete(self._parts(*args, **kwargs)))

    def _parts(self, *args: P.args, **kwargs: P.kwargs) -> Parts:
        if self._key is not None:
            return self._key(*args, **kwargs)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return {name: bound.arguments[name] for name in self._placeholders}

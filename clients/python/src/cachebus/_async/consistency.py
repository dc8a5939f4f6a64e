"""Cached values compared with those of the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from .. import codec, errors
from ..consistency import Compared, Consistency, Reservoir, Verdict, report
from ..keys import Parts
from .near import held
from .primitives import Feed, Window, each, sleep
from .values import Values, reading

V = TypeVar("V")

LoadParts: TypeAlias = "Callable[[Parts], Awaitable[V | None]]"

# Seconds by which a value may live longer than it is allowed to before that is said.
TOLERANCE = 1.0


class Check(Generic[V]):
    """Compares values of one keyspace; for :meth:`Keyspace.check_consistency`."""

    def __init__(self, values: Values[V], load: LoadParts[V], at_once: int) -> None:
        self._values = values
        self._load = load
        self._at_once = at_once

    async def run(self, among: Feed[Parts] | None, sample: int, settle: float) -> Consistency:
        """What is wrong twice, ``settle`` seconds apart, counts as wrong."""
        if not self._values.enabled:
            return Consistency()
        chosen = await self._chosen(among, sample)
        compared = await self._compared(chosen)
        wrong = [key for key, each in compared.items() if each.verdict.is_wrong]
        if wrong and settle > 0:
            await sleep(settle)
            compared |= await self._compared({key: chosen[key] for key in wrong})
        return report(list(compared.values()))

    async def _chosen(self, among: Feed[Parts] | None, number: int) -> dict[str, Parts]:
        """So many keys by chance: of those, or of the cached ones."""
        template = self._values.spec.template
        reservoir: Reservoir[Parts] = Reservoir(number)
        if among is not None:
            async for parts in each(among):
                reservoir.show(parts)
        elif not template.placeholders:
            reservoir.show(None)
        else:
            async for keys in self._values.matching(None):
                for key in keys:
                    reservoir.show(template.parts(key.decode(errors="replace")))
        return {self._values.key(parts): parts for parts in reservoir.items}

    async def _compared(self, chosen: dict[str, Parts]) -> dict[str, Compared]:
        ended: list[Compared] = []
        async with Window[Compared](self._at_once) as window:
            for key, parts in chosen.items():
                ended += await window.begin(partial(self._compare, key, parts))
            while more := await window.ended():
                ended += more
        return {each.key: each for each in ended}

    async def _compare(self, key: str, parts: Parts) -> Compared:
        values = self._values
        data, life = await values.send(reading(key))
        if data is None:
            return Compared(key, Verdict.MISSING)
        try:
            values.decoded(data)
        except errors.ValueInvalid:
            return Compared(key, Verdict.INVALID)
        if codec.decode(data) == self._plain(await self._load(parts)):
            return Compared(key, Verdict.EQUAL)
        allowed = values.time_to_live(None) + values.rules.freshness.stale_for
        left = held(data, life).left
        if left is None or left > allowed + TOLERANCE:
            return Compared(key, Verdict.DIFFERENT)
        return Compared(key, Verdict.STALE, max(allowed - left, 0.0))

    def _plain(self, loaded: V | None) -> object:
        """What would be read of a loaded value after it was stored."""
        if loaded is None:
            return None
        rules = self._values.rules
        return codec.decode(codec.encode(rules.plain(loaded), rules.format))

"""Values that are loaded where the cache does not have them."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from .. import errors
from ..freshness import Age
from ..turns import Turns
from .claims import Claimed, Claims, Mine, Others, Stored
from .connection import Command
from .primitives import Background, SingleFlight, sleep
from .values import Values

V = TypeVar("V")
_log = logging.getLogger("cachebus")

Load: TypeAlias = "Callable[[], Awaitable[V | None]]"

# Seconds for which a value is not loaded again in the background after its loader failed.
PAUSE_AFTER_FAILURE = 1.0


class Keep(Enum):
    """Whether what was loaded is stored."""

    NO = auto()
    YES = auto()
    # Where a value is still there: what was removed while it was loaded is not put back.
    IN_PLACE = auto()


class Loading(Generic[V]):
    """Loads values of one keyspace."""

    def __init__(self, values: Values[V], claims: Claims[V] | None, background: Background, turns: Turns) -> None:
        self._values = values
        self._claims = claims
        self._background = background
        self._turns = turns
        self._flights: SingleFlight[V | None] = SingleFlight()

    async def get(self, key: str, load: Load[V], ttl: float | None, *, refresh: bool) -> V | None:
        """The value, or what ``load`` returns. ``refresh``: one that is to be loaded again answers at once."""
        return await self._flights.do(key, partial(self._fly, key, load, ttl, refresh))

    async def _fly(self, key: str, load: Load[V], ttl: float | None, refresh: bool) -> V | None:
        age, old, keep = await self._seek(key, ttl)
        if age is None:
            return await self._load_first(key, load, ttl, keep)
        if age is Age.FRESH or (age is Age.RIPE and not refresh):
            return old
        if refresh:
            self._refresh(key, load, ttl)
            return old
        try:
            return await self._load_first(key, load, ttl, Keep.IN_PLACE)
        except Exception as error:
            _log.warning("a stale value of %s answers: loading failed: %s", self._values.name, type(error).__name__)
            return old

    async def _seek(self, key: str, ttl: float | None) -> tuple[Age | None, V | None, Keep]:
        """How old the value is, ``None`` where nothing answers; the value; what becomes of one that is loaded."""
        rules = self._values.rules
        try:
            found = await self._values.look_up(key, with_life=rules.freshness.tells)
        except errors.CacheBusError as error:
            _log.warning("cache read of %s failed: %s", self._values.name, error)
            # What others have stored in another form is replaced; a server that failed is not asked again.
            return None, None, Keep.YES if isinstance(error, errors.ValueInvalid) else Keep.NO
        value, left = found or (None, None)
        if value is not None:
            chance = random.random()  # noqa: S311
            return rules.freshness.age(left, self._values.time_to_live(ttl), chance), value, Keep.YES
        if found is not None and rules.absent_for:
            return Age.FRESH, None, Keep.YES
        return None, None, Keep.YES

    async def _load_first(self, key: str, load: Load[V], ttl: float | None, keep: Keep) -> V | None:
        """Loads, where no other process does it first."""
        claimed = None
        if keep is not Keep.NO:
            claimed = await self._claimed(key, ttl, lambda age: age is not Age.STALE, waits=True)
        if isinstance(claimed, Stored):
            return claimed.value
        return await self._load(key, load, ttl, keep, claimed if isinstance(claimed, Mine) else None)

    async def _claimed(
        self, key: str, ttl: float | None, good: Callable[[Age], bool], *, waits: bool
    ) -> Claimed[V] | None:
        """Who is to load; ``None`` where nobody asks."""
        if self._claims is None or not self._values.stores:
            return None
        try:
            return await self._claims.claim(key, ttl, good, waits=waits)
        except errors.CacheBusError as error:
            _log.warning("claiming a load of %s failed: %s", self._values.name, error)
            return None

    async def _load(self, key: str, load: Load[V], ttl: float | None, keep: Keep, claim: Mine | None) -> V | None:
        """Loads and stores. The claim is held until that is done."""
        try:
            loaded = await load()
        except BaseException:
            if claim is not None and self._claims is not None:
                await self._claims.release(claim)
            raise
        commands = [] if keep is Keep.NO or not self._values.stores else self._keeping(key, loaded, ttl, keep)
        if claim is not None:
            commands.append(claim.releasing())
        if commands:
            await self._write(key, commands)
        return loaded

    def _keeping(self, key: str, loaded: V | None, ttl: float | None, keep: Keep) -> list[Command]:
        """What stores a loaded value, as far as that is possible and wanted."""
        options = ["XX"] if keep is Keep.IN_PLACE else []
        if loaded is not None:
            try:
                return [self._values.storing(key, loaded, ttl, *options)]
            except errors.ValueInvalid as error:
                _log.warning("a loaded value of %s is not stored: %s", self._values.name, error)
                return []
        if self._values.rules.absent_for:
            return [self._values.storing_absent(key, *options)]
        return [("UNLINK", key)] if keep is Keep.IN_PLACE else []

    async def _write(self, key: str, commands: list[Command]) -> None:
        try:
            with self._values.changing([key]):
                await self._values.send(commands, within=self._values.connection.settings.command_timeout)
        except errors.CacheBusError as error:
            _log.warning("cache write of %s failed: %s", self._values.name, error)

    def _refresh(self, key: str, load: Load[V], ttl: float | None) -> None:
        if self._turns.take(key):
            self._background.start(partial(self._load_again, key, load, ttl))

    async def _load_again(self, key: str, load: Load[V], ttl: float | None) -> None:
        try:
            claimed = await self._claimed(key, ttl, lambda age: age is Age.FRESH, waits=False)
            if not isinstance(claimed, (Stored, Others)):
                await self._load(key, load, ttl, Keep.IN_PLACE, claimed)
        except Exception as error:
            _log.warning("loading %s in the background failed: %s", self._values.name, type(error).__name__)
            await sleep(PAUSE_AFTER_FAILURE)
        finally:
            self._turns.give(key)

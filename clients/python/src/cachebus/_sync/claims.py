"""Of all processes one loads a value: it holds a lock meanwhile, and the others wait for what it stores."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from .. import errors, fcall
from ..caching import LoadOnce
from ..freshness import Age
from .connection import Command
from .near import held
from .primitives import sleep
from .values import Values, reading

V = TypeVar("V")
_log = logging.getLogger("cachebus")

SHORTEST_PAUSE = 0.01
LONGEST_PAUSE = 0.25


@dataclass(frozen=True)
class Mine:
    """This process is to load; others wait for it until the lock is released."""

    lock: str
    token: str

    def releasing(self) -> Command:
        return fcall.unlock(self.lock, self.token)


@dataclass(frozen=True)
class Stored(Generic[V]):
    """Nobody is to load: what is there is good."""

    value: V | None


@dataclass(frozen=True)
class Others:
    """Another process is, and it takes longer than is waited."""


Claimed: TypeAlias = "Mine | Stored[V] | Others"


class Claims(Generic[V]):
    """Where a keyspace's loads are claimed."""

    def __init__(self, values: Values[V], once: LoadOnce) -> None:
        """``ContractError`` where the service does not hold such locks."""
        self._values = values
        self._once = once
        spec = values.connection.contract.keyspace(once.locks)
        if not spec.lock or not spec.writable or len(spec.template.placeholders) != 1:
            raise errors.ContractError(
                f"{once.locks} is no keyspace of locks with one placeholder that the service may write"
            )

    def claim(self, key: str, ttl: float | None, good: Callable[[Age], bool], *, waits: bool) -> Claimed[V]:
        """Claims a load, or waits for the value. What ``good`` says is good needs no load."""
        spec = self._values.connection.contract.keyspace(self._once.locks)
        mine = Mine(spec.template.key(resource(key)), secrets.token_urlsafe(16))
        # GET tells a repetition that the lock is its own.
        setting: Command = ("SET", mine.lock, mine.token, "NX", "GET", "PX", spec.ttl_ms)
        until = time.monotonic() + (self._once.wait if waits else 0)
        pause = SHORTEST_PAUSE
        while True:
            holder, data, life = self._values.ask([setting, *reading(key)])
            claimed = holder is None or holder == mine.token.encode()
            stored = self._good(data, life, ttl, good)
            if stored is not None:
                if claimed:
                    self.release(mine)
                return stored
            if claimed:
                return mine
            wait = pause * random.uniform(0.5, 1.0)  # noqa: S311
            if time.monotonic() + wait >= until:
                return Others()
            sleep(wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    def release(self, mine: Mine) -> None:
        """Lets another load."""
        try:
            within = self._values.connection.settings.command_timeout
            self._values.send([mine.releasing()], within=within)
        except errors.CacheBusError as error:
            _log.warning("the lock of a load could not be released and will run out: %s", error)

    def _good(self, data: Any, life: Any, ttl: float | None, good: Callable[[Age], bool]) -> Stored[V] | None:
        """What answers without a load."""
        rules = self._values.rules
        try:
            found = self._values.found(held(data, life))
        except errors.ValueInvalid:
            # What others have stored in another form is to be replaced.
            return None
        if found is None:
            return None
        value, left = found
        if value is None:
            return Stored(None) if rules.absent_for else None
        age = rules.freshness.age(left, self._values.time_to_live(ttl), 1.0)
        return Stored(value) if good(age) else None


def resource(key: str) -> str:
    """A key as the one part of another."""
    return key.replace("%", "%25").replace(":", "%3A")

"""What a keyspace is filled with before it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from .keys import Parts

V = TypeVar("V")


@dataclass(frozen=True)
class Entry(Generic[V]):
    """A value and where it belongs. ``ttl``: seconds for which it is stored, in place of the keyspace's time."""

    parts: Parts
    value: V
    ttl: float | None = None


@dataclass(frozen=True)
class Warmed:
    """How far a warming is."""

    # Values that were stored.
    stored: int = 0
    # Values that were there, and stay. One that was stored by a call of which no answer came, and which was repeated,
    # is among them.
    present: int = 0
    # Entries that no value can be made of: too large, or not to be encoded, or with parts that do not fit.
    invalid: int = 0

    def __add__(self, other: Warmed) -> Warmed:
        return Warmed(self.stored + other.stored, self.present + other.present, self.invalid + other.invalid)

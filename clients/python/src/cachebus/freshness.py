"""How old a value is, by the life that it has left. Nothing is stored for it: every client reads the plain value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Age(Enum):
    """What a value is good for."""

    FRESH = auto()
    # Still within its time, and to be loaded ahead.
    RIPE = auto()
    # Beyond its time.
    STALE = auto()


@dataclass(frozen=True)
class Freshness:
    """When a value is loaded again, and how long it is of use beyond its time.

    ``early``: the last part of a value's time in which it is loaded ahead, 0 to 1. ``stale_for``: how many seconds
    longer than its time a value is stored.
    """

    early: float = 0.0
    stale_for: float = 0.0

    @property
    def tells(self) -> bool:
        """Whether the life that a value has left says anything."""
        return self.early > 0 or self.stale_for > 0

    def age(self, left: float | None, ttl: float, chance: float) -> Age:
        """The age of a value that is stored for ``left`` seconds; ``None``: without an end.

        ``chance``, 0 to 1, is drawn for each read: it becomes ever likelier that one finds the value ripe, so that of
        many processes rather one than all load it.
        """
        if left is None:
            return Age.FRESH
        if self.stale_for > 0 and left <= self.stale_for:
            return Age.STALE
        if left - self.stale_for < ttl * self.early * chance:
            return Age.RIPE
        return Age.FRESH

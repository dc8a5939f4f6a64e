"""What a comparison of cached values with those of the database found."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar

T = TypeVar("T")

# Keys that a report names, at most.
EXAMPLES = 10


@dataclass(frozen=True)
class Consistency:
    """How many keys were looked at (``sampled``), and how many of them were what. No values are in it."""

    sampled: int = 0
    # Nothing is cached.
    missing: int = 0
    # What is cached is what the database has. So is a remembered `None` where it has nothing.
    equal: int = 0
    # It is not, and will be gone within the keyspace's time, as any value whose change nobody told of.
    stale: int = 0
    # It is not, and stays for longer than that: who wrote it does not keep to the contract.
    different: int = 0
    # The stored bytes are no value.
    invalid: int = 0
    # Seconds since the oldest of the stale was stored, at most.
    oldest: float = 0.0
    # Keys of some that are stale, different or invalid.
    examples: tuple[str, ...] = field(default=(), repr=False)

    @property
    def consistent(self) -> bool:
        """Whether all that is cached is what the database has."""
        return not (self.stale or self.different or self.invalid)


class Verdict(Enum):
    """What is to be said of one key."""

    MISSING = auto()
    EQUAL = auto()
    STALE = auto()
    DIFFERENT = auto()
    INVALID = auto()

    @property
    def is_wrong(self) -> bool:
        return self not in (Verdict.MISSING, Verdict.EQUAL)


@dataclass(frozen=True)
class Compared:
    """One key. ``age``: seconds since a stale value was stored, at most."""

    key: str
    verdict: Verdict
    age: float = 0.0


def report(compared: Sequence[Compared]) -> Consistency:
    """The numbers of all that were compared."""

    def number(verdict: Verdict) -> int:
        return sum(each.verdict is verdict for each in compared)

    return Consistency(
        sampled=len(compared),
        missing=number(Verdict.MISSING),
        equal=number(Verdict.EQUAL),
        stale=number(Verdict.STALE),
        different=number(Verdict.DIFFERENT),
        invalid=number(Verdict.INVALID),
        oldest=max((each.age for each in compared), default=0.0),
        examples=tuple(each.key for each in compared if each.verdict.is_wrong)[:EXAMPLES],
    )


class Reservoir(Generic[T]):
    """So many of the items that it was shown, each as likely as the others."""

    def __init__(self, size: int) -> None:
        self.items: list[T] = []
        self._size = size
        self._shown = 0

    def show(self, item: T) -> None:
        self._shown += 1
        if len(self.items) < self._size:
            self.items.append(item)
            return
        place = random.randrange(self._shown)  # noqa: S311
        if place < self._size:
            self.items[place] = item

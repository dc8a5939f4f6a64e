"""Pauses that grow."""

from __future__ import annotations

import random


class Pauses:
    """Pauses of which each is twice as long as the one before, about. All times are seconds.

    The defaults are for a bus, or a database, that does not answer.
    """

    def __init__(self, first: float = 0.05, longest: float = 2.0) -> None:
        self._first = first
        self._longest = longest
        self._next = min(first, longest)

    def next(self) -> float:
        """How long to wait now."""
        pause = self._next * random.uniform(0.5, 1.0)  # noqa: S311
        self._next = min(self._next * 2, self._longest)
        return pause

    def reset(self) -> None:
        """Begins anew, after something worked."""
        self._next = min(self._first, self._longest)

"""Who may load a value in the background."""

from __future__ import annotations

import threading


class Turns:
    """One at a time for each key, and so many at a time for all of them."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def take(self, key: str) -> bool:
        """Takes the turn for this key until :meth:`give`; ``False`` while there is none."""
        with self._lock:
            if key in self._taken or len(self._taken) >= self._limit:
                return False
            self._taken.add(key)
            return True

    def give(self, key: str) -> None:
        with self._lock:
            self._taken.discard(key)

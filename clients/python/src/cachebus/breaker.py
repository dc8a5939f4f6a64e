"""Leaves a server that fails alone for a while."""

from __future__ import annotations

import time


class Breaker:
    """Opens after ``failures`` in a row; after ``pause`` seconds one call may try."""

    def __init__(self, failures: int, pause: float) -> None:
        self._limit = failures
        self._pause = pause
        self._failures = 0
        self._open_until = 0.0

    def allows(self) -> bool:
        """Whether a call may be made now."""
        if self._failures < self._limit:
            return True
        now = time.monotonic()
        if now < self._open_until:
            return False
        # This one tries; the others wait for what it finds.
        self._open_until = now + self._pause
        return True

    def succeeded(self) -> None:
        self._failures = 0

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= self._limit:
            self._open_until = time.monotonic() + self._pause

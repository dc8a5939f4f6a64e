"""The binding as it is now."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace

from .binding import Binding, Source
from .errors import BindingError

_log = logging.getLogger("cachebus")


class Watched:
    """Reads a binding again when its source changes. Asks the source at most every ``every`` seconds."""

    def __init__(self, source: Source, every: float = 1.0) -> None:
        self._source = source
        self._every = every
        self._lock = threading.Lock()
        self._fingerprint = source.fingerprint()
        self._binding = source.load()
        self._next = time.monotonic() + every
        # Rises with each change of how to connect.
        self.generation = 0

    def current(self, *, now: bool = False) -> Binding:
        """The binding. ``now``: ask the source however long ago that was."""
        if now or time.monotonic() >= self._next:
            with self._lock:
                self._next = time.monotonic() + self._every
                self._refresh()
        return self._binding

    def _refresh(self) -> None:
        fingerprint = self._source.fingerprint()
        if fingerprint == self._fingerprint:
            return
        try:
            binding = self._source.load()
        except BindingError as error:
            # In the middle of being written: the one that was read is in use until the next look.
            _log.warning("the binding has changed and cannot be read yet: %s", error)
            return
        self._fingerprint = fingerprint
        if replace(binding, contract=self._binding.contract) != self._binding:
            self.generation += 1
            _log.info("the binding has changed")
        self._binding = binding

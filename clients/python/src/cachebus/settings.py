"""How a client behaves; what it may do is the contract's."""

from __future__ import annotations

import os
from dataclasses import dataclass


def _use_cache() -> bool:
    return os.environ.get("USE_CACHE", "true").strip().lower() not in ("false", "0", "no", "off")


@dataclass(frozen=True)
class Settings:
    """All times are seconds.

    A call takes at most ``deadline`` and, where the last attempt begins just before it, one ``connect_timeout`` and one
    ``command_timeout`` more. A read of the cache that falls back to a loader makes one attempt.
    """

    connect_timeout: float = 0.5
    command_timeout: float = 0.5
    deadline: float = 5.0
    # Connections of calls. Subscriptions and consumers have one each besides.
    max_connections: int = 50
    # Time between looks at the binding's files.
    reload_every: float = 1.0
    # ``False``: nothing is read from or written to the cache; deletions are still sent, for others use it.
    use_cache: bool = True
    # After this many failures in a row the cache is left alone for a while.
    breaker_failures: int = 3
    breaker_pause: float = 1.0

    @classmethod
    def from_environment(cls) -> Settings:
        """The defaults, and ``USE_CACHE``."""
        return cls(use_cache=_use_cache())

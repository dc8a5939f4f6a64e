"""What became of an event."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """``EMITTED`` now; ``DUPLICATE``: the id was emitted before; ``DISABLED``: the contract's ``events.enabled`` is
    off, and nothing was sent."""

    EMITTED = "emitted"
    DUPLICATE = "duplicate"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Emitted:
    """The outcome of an ``emit``. ``stream_id``: of a durable event that was emitted now."""

    outcome: Outcome
    event_id: str
    stream_id: str | None = None
    # Subscribers that listened at this moment.
    receivers: int = 0
    # Cache keys that were removed in the same step.
    removed: int = 0

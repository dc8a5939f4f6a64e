"""What is yet to be done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backlog:
    """What a service's group has yet to do on one channel; from :meth:`EventBus.backlog`."""

    # Events that consumers were handed out and have not acknowledged.
    pending: int
    # Events that nobody was handed out yet; `None` where the server cannot tell, for some were removed from the stream.
    waiting: int | None
    # Seconds since the oldest of all these was emitted; 0 where there is none.
    age: float


@dataclass(frozen=True)
class OutboxBacklog:
    """What an outbox holds; from :meth:`Outbox.backlog`."""

    # Events that are yet to be emitted.
    waiting: int
    # Seconds since the oldest of them was added; 0 where there is none.
    age: float
    # Events that were set aside because they cannot be emitted.
    refused: int

"""How events are consumed, and relayed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Literal

from .envelope import Event


def _process() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


@dataclass(frozen=True)
class ConsumerOptions:
    """How a service's events are handled. All times are seconds.

    An event's handler is tried ``attempts`` times, with growing pauses; then the event becomes a dead letter. So does
    one that was handed out more than ``max_deliveries`` times because each consumer died over it.
    """

    # Name within the service's group. A process that comes back under its name goes on with what it left.
    name: str = field(default_factory=_process)
    # Where a group that does not exist yet begins: with all that the stream keeps, or with what comes from now on.
    start: Literal["earliest", "latest"] = "earliest"
    # So many events are handled at the same time, each in a task, or a thread, of its own.
    concurrency: int = 1
    # Events of one key are handled one after the other, whatever their channel; those of a channel in its order. By
    # default the key is the channel itself, and so it is where this raises.
    ordered_by: Callable[[Event], Hashable] | None = None
    # Events of a channel that are fetched at once; at most so many for each handler are fetched before it has time.
    batch: int = 16
    # How long one read waits; `stop` takes as long.
    block: float = 1.0
    attempts: int = 3
    max_deliveries: int = 5
    backoff: float = 0.1
    longest_backoff: float = 5.0
    # A consumer that was not heard of for so long is taken for dead, and its events are claimed. Handlers may take
    # longer: their consumer keeps saying that it lives.
    claim_after: float = 30.0
    claim_every: float = 5.0
    # How often the metrics are told what the group has yet to do.
    measure_every: float = 15.0


@dataclass(frozen=True)
class RelayOptions:
    """How the relay of an outbox works. All times are seconds."""

    # Events of one transaction.
    batch: int = 100
    # How often it looks without being woken.
    poll_every: float = 1.0
    # How often the metrics are told what waits.
    measure_every: float = 15.0

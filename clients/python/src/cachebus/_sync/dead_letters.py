"""What a service could not handle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from .. import errors
from ..contract import ChannelSpec
from ..envelope import Event
from .connection import Connection

PAGE = 100


@dataclass(frozen=True)
class DeadLetter:
    """One event that was given up."""

    id: str
    channel: str
    # `None` where the entry held no envelope.
    event: Event | None
    # The failure's class; `deliveries`: consumers died over it; `invalid`: no envelope.
    reason: str
    deliveries: int
    # Milliseconds since 1970.
    failed_at_ms: int


@dataclass(frozen=True)
class Redriven:
    """How a redrive went."""

    handled: int
    failed: int


class DeadLetters:
    """The service's dead letters of one channel; from :meth:`EventBus.dead_letters`. They stay until they are
    dropped."""

    def __init__(self, connection: Connection, spec: ChannelSpec) -> None:
        self._connection = connection
        self._channel = spec.channel
        self._key = spec.dead_letter_key(connection.contract.service)

    def count(self) -> int:
        """How many there are. O(1)."""
        return int(self._connection.call("XLEN", self._key, safe=True))

    def letters(self, *, limit: int = 1000) -> Iterator[DeadLetter]:
        """The oldest ``limit``, in pages."""
        after = "-"
        while limit > 0:
            reply = self._connection.call("XRANGE", self._key, after, "+", "COUNT", min(PAGE, limit), safe=True)
            if not reply:
                return
            for letter_id, fields in reply:
                yield self._letter(letter_id, fields)
            limit -= len(reply)
            after = f"({reply[-1][0].decode()}"

    def get(self, letter_id: str) -> DeadLetter | None:
        """One of them, or ``None``."""
        reply = self._connection.call("XRANGE", self._key, letter_id, letter_id, safe=True)
        return self._letter(*reply[0]) if reply else None

    def redrive(self, handler: Callable[[Event], None], *, limit: int = 1000) -> Redriven:
        """Hands the oldest to ``handler`` and drops those that it handles; the others stay.

        A service may not publish what it subscribes to, so they do not go back into the stream. Two redrives at the
        same time may both handle one.
        """
        handled = failed = 0
        for letter in self.letters(limit=limit):
            if letter.event is None:
                failed += 1
                continue
            try:
                handler(letter.event)
            except Exception:
                failed += 1
            else:
                self.drop(letter.id)
                handled += 1
        return Redriven(handled, failed)

    def drop(self, *ids: str) -> int:
        """Removes letters for good and says how many there were."""
        return int(self._connection.call("XDEL", self._key, *ids, safe=True)) if ids else 0

    def _letter(self, letter_id: bytes, fields: list[bytes]) -> DeadLetter:
        values: Mapping[bytes, bytes] = dict(zip(fields[::2], fields[1::2], strict=True))
        try:
            event = Event.decode(values[b"envelope"]).at(values[b"stream_id"].decode())
        except (KeyError, errors.ValueInvalid):
            event = None
        return DeadLetter(
            id=letter_id.decode(),
            channel=self._channel,
            event=event,
            reason=values.get(b"reason", b"").decode(),
            deliveries=int(values.get(b"deliveries", b"0")),
            failed_at_ms=int(values.get(b"failed_at", b"0")),
        )

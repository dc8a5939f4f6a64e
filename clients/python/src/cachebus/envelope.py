"""The envelope of events. functions/vectors/envelopes.json holds examples."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from .codec import dump_json
from .errors import ValueInvalid

_EVENT_ID = re.compile(r"evt_[A-Za-z0-9_-]{1,64}")
# The function library's limit, in bytes of the whole envelope.
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Event:
    """One event.

    ``stream_id`` and ``deliveries`` say where it was read and how often it was handed out; they are not in the
    envelope.
    """

    channel: str
    service: str
    data: Mapping[str, Any]
    event_id: str = field(default_factory=lambda: f"evt_{uuid.uuid4().hex}")
    timestamp: str = field(default_factory=lambda: timestamp(datetime.now(timezone.utc)))
    correlation_id: str | None = None
    user_id: str | None = None
    version: str = "1.0"
    stream_id: str | None = field(default=None, compare=False)
    deliveries: int = field(default=1, compare=False)

    def encode(self) -> str:
        """The JSON text, fields always in the same order; ``ValueInvalid`` where it is no envelope."""
        if not _EVENT_ID.fullmatch(self.event_id):
            raise ValueInvalid("an event_id is evt_ and 1 to 64 letters, digits, _ or -")
        if not isinstance(self.data, Mapping):
            raise ValueInvalid("data of an event is an object")
        text = dump_json(
            {
                "event_id": self.event_id,
                "timestamp": self.timestamp,
                "channel": self.channel,
                "service": self.service,
                "data": dict(self.data),
                "metadata": {
                    "correlation_id": self.correlation_id,
                    "user_id": self.user_id,
                    "version": self.version,
                },
            }
        )
        if len(text.encode()) > MAX_BYTES:
            raise ValueInvalid(f"an envelope has at most {MAX_BYTES} bytes")
        return text

    @classmethod
    def decode(cls, text: str | bytes) -> Event:
        """Reads an envelope; fields that are not known are left alone. ``ValueInvalid`` where it is none."""
        try:
            fields = json.loads(text)
            metadata = fields["metadata"]
            event = cls(
                event_id=fields["event_id"],
                timestamp=fields["timestamp"],
                channel=fields["channel"],
                service=fields["service"],
                data=fields["data"],
                correlation_id=metadata.get("correlation_id"),
                user_id=metadata.get("user_id"),
                version=metadata.get("version", "1.0"),
            )
            valid = bool(_EVENT_ID.fullmatch(event.event_id)) and isinstance(event.data, dict)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            valid = False
        if not valid:
            raise ValueInvalid("not an envelope")
        return event

    def identified(self, event_id: str) -> Event:
        """The event under another id."""
        return replace(self, event_id=event_id)

    def at(self, stream_id: str, deliveries: int = 1) -> Event:
        """The event as read from a stream."""
        return replace(self, stream_id=stream_id, deliveries=deliveries)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds: ``2026-01-02T03:04:05.678Z``."""
    utc = moment.astimezone(timezone.utc)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"

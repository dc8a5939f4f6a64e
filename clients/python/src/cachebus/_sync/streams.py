"""One service's group on the streams of durable channels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from redis import exceptions

from .. import errors, replies
from ..contract import ChannelSpec
from ..options import ConsumerOptions
from .connection import Connection
from .primitives import Flag, RawConnection


class Entry(NamedTuple):
    """One entry as it was handed out."""

    spec: ChannelSpec
    stream_id: str
    fields: dict[bytes, bytes]
    deliveries: int


class Streams:
    """Reads, claims, acknowledges and buries entries on behalf of one consumer."""

    def __init__(
        self,
        connection: Connection,
        channels: Sequence[ChannelSpec],
        service: str,
        options: ConsumerOptions,
    ) -> None:
        self._connection = connection
        self._specs = {spec.stream_key.encode(): spec for spec in channels}
        self._group = service
        self._options = options
        self._raw: RawConnection | None = None

    @property
    def channels(self) -> list[ChannelSpec]:
        return list(self._specs.values())

    @property
    def group(self) -> str:
        return self._group

    @property
    def events_enabled(self) -> bool:
        return self._connection.contract.events_enabled

    def events_on(self, stopped: Flag) -> bool:
        """Waits while events are switched off; ``False`` where it is stopped meanwhile."""
        return self._connection.events_on(stopped)

    def make_groups(self, start: str) -> list[ChannelSpec]:
        """Makes the groups that do not exist, and names their channels. ``start``: ``0``, or ``$`` for what is new."""
        made = []
        for spec in self.channels:
            try:
                self._connection.call("XGROUP", "CREATE", spec.stream_key, self._group, start, "MKSTREAM", safe=True)
            except errors.ServerError as error:
                if error.code != "BUSYGROUP":
                    raise
            else:
                made.append(spec)
        return made

    def unfinished(self, spec: ChannelSpec, after: str) -> list[Entry]:
        """What this consumer was handed out in a former life, from ``after`` on."""
        reply = self._read([spec], after, block=None)
        return self._counted(spec, reply[0][1] if reply else [])

    def new(self, channels: Sequence[ChannelSpec], block: float) -> list[Entry]:
        """What nobody was handed out yet of some channels. Waits for it as long as ``block``, at most the option's."""
        reply = self._read(channels, ">", block)
        return [
            Entry(self._specs[stream], stream_id.decode(), _pairs(fields), 1)
            for stream, entries in reply or []
            for stream_id, fields in entries
        ]

    def claim(self, spec: ChannelSpec, cursor: str) -> tuple[str, list[Entry], int]:
        """Takes over what consumers that seem dead were handed out: where to go on, entries, entries that are lost."""
        reply = self._connection.call(
            "XAUTOCLAIM",
            spec.stream_key,
            self._group,
            self._options.name,
            round(self._options.claim_after * 1000),
            cursor,
            "COUNT",
            self._options.batch,
            # Done twice, the second finds nothing idle; what the first took is found in `unfinished`.
            safe=True,
        )
        return reply[0].decode(), self._counted(spec, reply[1]), len(reply[2])

    def acknowledge(self, entry: Entry) -> None:
        """Says that an entry is done with."""
        self._connection.call("XACK", entry.spec.stream_key, self._group, entry.stream_id, safe=True)

    def hold(self, spec: ChannelSpec, ids: Sequence[str], idle: float = 0) -> None:
        """Says that entries are being handled; or, with ``idle``, that they were let go so many seconds ago."""
        self._connection.call(
            "XCLAIM",
            spec.stream_key,
            self._group,
            self._options.name,
            0,
            *ids,
            "IDLE",
            round(idle * 1000),
            "JUSTID",
            safe=True,
        )

    def bury(self, entry: Entry, reason: str) -> None:
        """Moves an entry to the service's dead letters, in one step."""
        words: list[str | bytes] = []
        for name, value in entry.fields.items():
            words += [name, value]
        words += ["stream_id", entry.stream_id, "deliveries", str(entry.deliveries)]
        words += ["reason", reason, "failed_at", str(round(time.time() * 1000))]
        spec = entry.spec
        self._connection.transaction(
            [
                ("XADD", spec.dead_letter_key(self._group), "*", *words),
                ("XACK", spec.stream_key, self._group, entry.stream_id),
            ],
            safe=False,
        )

    def is_pending(self, entry: Entry) -> bool:
        """Whether an entry is yet to be acknowledged, as far as is known."""
        try:
            return any(self._deliveries(entry.spec, [entry.stream_id]))
        except errors.GroupMissing:
            return True

    def disconnect(self) -> None:
        """Ends the connection of reads that wait."""
        raw, self._raw = self._raw, None
        if raw is not None:
            try:
                raw.disconnect()
            except (exceptions.RedisError, OSError):
                return

    def _read(self, specs: Sequence[ChannelSpec], after: str, block: float | None) -> list[Any] | None:
        """Its outcome may be unknown: entries were handed out that did not arrive, and are ``unfinished``."""
        if self._raw is None:
            patience = self._options.block + self._connection.settings.command_timeout
            self._raw = self._connection.dedicated(read_timeout=patience)
        waits = () if block is None else ("BLOCK", max(1, round(block * 1000)))
        try:
            self._raw.send_command(
                "XREADGROUP",
                "GROUP",
                self._group,
                self._options.name,
                "COUNT",
                self._options.batch,
                *waits,
                "STREAMS",
                *(spec.stream_key for spec in specs),
                *(after for _ in specs),
            )
            reply: list[Any] | None = self._raw.read_response()
        except exceptions.ResponseError as error:
            if replies.is_refusal(error):
                self.disconnect()
            raise replies.translate("XREADGROUP", error) from None
        except (exceptions.RedisError, OSError):
            self.disconnect()
            raise errors.OutcomeUnknown("XREADGROUP: no answer", retryable=True) from None
        except BaseException:
            self.disconnect()
            raise
        return reply

    def _counted(self, spec: ChannelSpec, entries: list[Any]) -> list[Entry]:
        ids = [stream_id.decode() for stream_id, _ in entries]
        deliveries = self._deliveries(spec, ids)
        return [
            Entry(spec, stream_id, _pairs(fields), number)
            for stream_id, (_, fields), number in zip(ids, entries, deliveries, strict=True)
        ]

    def _deliveries(self, spec: ChannelSpec, ids: Sequence[str]) -> list[int]:
        """How often each entry was handed out; 0: it is acknowledged."""
        if not ids:
            return []
        questions = [("XPENDING", spec.stream_key, self._group, stream_id, stream_id, 1) for stream_id in ids]
        answers = self._connection.pipeline(questions, safe=True)
        for answer in answers:
            if isinstance(answer, errors.CacheBusError):
                raise answer
        return [int(pending[0][3]) if pending else 0 for pending in answers]


def _pairs(fields: list[bytes] | None) -> dict[bytes, bytes]:
    """An entry's fields; none where the entry itself is gone."""
    return dict(zip(fields[::2], fields[1::2], strict=True)) if fields else {}

"""Emitting events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .. import errors, fcall, spans
from ..contract import ChannelSpec, Confirm
from ..envelope import Event
from ..keys import Parts
from ..metrics import Metrics
from ..outcome import Emitted, Outcome
from .connection import Command, Connection
from .keyspace import Keyspace

# How long an event's id is remembered: longer than anybody repeats a call of which no answer came.
WINDOW_MS = 300_000
# Keys removed at once: more than that would hold up the server.
MOST_KEYS = 1000


class Publisher:
    """Emits events, each once for its id."""

    def __init__(self, connection: Connection, metrics: Metrics) -> None:
        self._connection = connection
        self._metrics = metrics

    async def emit(self, event: Event) -> Emitted:
        """See :meth:`EventBus.emit`."""
        with spans.emitting(event):
            spec = self._connection.contract.published(event.channel)
            envelope = event.encode()
            if not self._connection.contract.events_enabled:
                return Emitted(Outcome.DISABLED, event.event_id)
            with self._counted(spec):
                try:
                    reply = await self._confirmed(fcall.emit(spec, envelope, WINDOW_MS), spec, event.event_id)
                except errors.FunctionsMissing:
                    if spec.durable:
                        raise
                    return await self._plain(spec, event, envelope)
                return self._emitted(event, reply)

    async def invalidate(self, keyspace: Keyspace[Any], many: Sequence[Parts], event: Event) -> Emitted:
        """See :meth:`EventBus.invalidate`."""
        with spans.emitting(event):
            spec = self._connection.contract.published(event.channel)
            keys = [keyspace.key(parts) for parts in many]
            envelope = event.encode()
            if not 1 <= len(keys) <= MOST_KEYS:
                raise errors.ContractError(f"1 to {MOST_KEYS} values are removed in one step")
            if not self._connection.contract.events_enabled:
                removed = await keyspace.delete(*many)
                return Emitted(Outcome.DISABLED, event.event_id, removed=removed)
            with self._counted(spec), keyspace._changing(keys):
                call = fcall.invalidate(keys, spec, envelope, WINDOW_MS)
                removed, *reply = await self._confirmed(call, spec, event.event_id)
                return self._emitted(event, reply, removed)

    @contextmanager
    def _counted(self, spec: ChannelSpec) -> Iterator[None]:
        try:
            yield
        except errors.CacheBusError:
            self._metrics.event_error(spec.channel, "publish")
            raise

    async def _confirmed(self, command: Command, spec: ChannelSpec, event_id: str) -> list[Any]:
        """The call's reply, once as many copies as the contract asks for have the event."""
        confirm = self._connection.contract.confirm if spec.durable else None
        commands = [command] if confirm is None else [command, confirm.command]
        blocks = confirm.timeout_ms / 1000 if confirm else 0
        reply, *copies = await self._connection.pipeline(commands, safe=True, blocks=blocks)
        for answer in (reply, *copies):
            if isinstance(answer, errors.CacheBusError):
                raise answer
        if confirm is not None:
            self._check(confirm, copies[0], event_id)
        return list(reply)

    def _check(self, confirm: Confirm, answer: Any, event_id: str) -> None:
        local, replicas = answer if isinstance(answer, list) else (confirm.local, answer)
        if local < confirm.local or replicas < confirm.replicas:
            raise errors.Unconfirmed(event_id, replicas, confirm.replicas)

    async def _plain(self, spec: ChannelSpec, event: Event, envelope: str) -> Emitted:
        """Without the library: published and kept, yet twice where it is emitted twice. So it is sent once."""
        commands: list[Command] = [("PUBLISH", spec.channel, envelope)]
        if spec.history:
            commands.append(("LPUSH", spec.history_key, envelope))
            commands.append(("LTRIM", spec.history_key, 0, spec.history - 1))
        replies = await self._connection.transaction(commands, safe=False)
        self._metrics.published(spec.channel)
        return Emitted(Outcome.EMITTED, event.event_id, None, replies[0])

    def _emitted(self, event: Event, reply: list[Any], removed: int = 0) -> Emitted:
        status, stream_id, receivers = reply
        outcome = Outcome(status.decode())
        if outcome is Outcome.EMITTED:
            self._metrics.published(event.channel)
        return Emitted(outcome, event.event_id, stream_id.decode() or None, receivers, removed)

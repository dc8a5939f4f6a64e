"""The event bus of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from .. import errors, spans
from ..backlog import Backlog
from ..contract import ChannelSpec
from ..envelope import Event
from ..keys import Parts
from ..metrics import Metrics
from ..options import ConsumerOptions
from ..outcome import Emitted
from .backlog import backlog
from .connection import Connection
from .consumer import Consumer
from .dead_letters import DeadLetters
from .keyspace import Keyspace
from .outbox import Outbox
from .primitives import run_all
from .publisher import Publisher
from .subscription import Subscription
from .worker import Handler

PAGE = 100


class EventBus:
    """Channels that the contract grants. A name is one event, ``task:completed``, or a whole group, ``task``."""

    def __init__(self, connection: Connection, metrics: Metrics) -> None:
        self._connection = connection
        self._metrics = metrics
        self._publisher = Publisher(connection, metrics)
        self._handlers: dict[str, Handler] = {}
        self._consumer: Consumer | None = None
        self._subscription: Subscription | None = None

    def event(
        self,
        channel: str,
        data: Mapping[str, Any],
        *,
        event_id: str | None = None,
        correlation_id: str | None = None,
        user_id: str | None = None,
        version: str = "1.0",
    ) -> Event:
        """An event of this service, now. ``event_id``: to repeat one; else it is new. ``version`` is of ``data``'s
        form."""
        event = Event(
            channel=channel,
            service=self._connection.contract.service,
            data=data,
            correlation_id=correlation_id,
            user_id=user_id,
            version=version,
        )
        return event if event_id is None else event.identified(event_id)

    async def emit(self, event: Event) -> Emitted:
        """Publishes an event, keeps it in the history and, on a durable channel, in the stream: in one step, once.

        One round trip, repeated within the deadline until an answer comes: the id makes sure that it counts once, for
        five minutes. On a durable channel of a bus with ``durability: Quorum`` it returns when enough copies have the
        event; ``Unconfirmed`` where they do not say so in time. ``FunctionsMissing``: durable channels need the
        function library; others are then emitted without it, and not repeated.
        """
        return await self._publisher.emit(event)

    async def invalidate(self, keyspace: Keyspace[Any], many: Sequence[Parts], event: Event) -> Emitted:
        """Removes up to 1,000 values and emits, in one step. For writers, after their database has the new state."""
        return await self._publisher.invalidate(keyspace, many, event)

    def subscribe(self, *names: str) -> Subscription:
        """Live events: what is published while somebody listens. ``async with`` it, then iterate."""
        return Subscription(self._connection, self._specs(names), self._metrics)

    def consumer(self, handlers: Mapping[str, Handler], options: ConsumerOptions | None = None) -> Consumer:
        """A consumer of durable channels: a handler for each name."""
        by_channel: dict[str, Handler] = {}
        for name, handler in handlers.items():
            for spec in self._specs([name]):
                by_channel[spec.channel] = handler
        specs = self._specs(list(by_channel))
        for spec in specs:
            _durable(spec)
        return Consumer(self._connection, by_channel, specs, options or ConsumerOptions(), self._metrics)

    def on(self, *names: str) -> Callable[[Handler], Handler]:
        """A decorator: :meth:`run` hands it the events of these names."""

        def register(handler: Handler) -> Handler:
            for spec in self._specs(names):
                self._handlers[spec.channel] = handler
            return handler

        return register

    async def run(self, options: ConsumerOptions | None = None) -> None:
        """Runs the handlers of :meth:`on` until :meth:`stop`: durable channels are consumed, others are listened to.

        A live event whose handler fails is counted and gone.
        """
        specs = self._specs(list(self._handlers))
        durable = {spec.channel: self._handlers[spec.channel] for spec in specs if spec.durable}
        live = [spec.channel for spec in specs if not spec.durable]
        calls: list[Callable[[], Awaitable[None]]] = []
        if durable:
            self._consumer = self.consumer(durable, options)
            calls.append(self._consumer.run)
        if live:
            self._subscription = self.subscribe(*live)
            calls.append(self._listen)
        try:
            await run_all(*calls)
        finally:
            # One that failed, or was interrupted, stops the other.
            self.stop()

    def stop(self) -> None:
        """Has :meth:`run` return when the events that are being handled are done with."""
        if self._consumer is not None:
            self._consumer.stop()
        if self._subscription is not None:
            self._subscription.stop()

    async def history(self, channel: str, limit: int = 100) -> list[Event]:
        """The newest events of a channel, the oldest of them first. O(limit). What is no envelope is left out."""
        [spec] = self._specs([channel])
        if not spec.history or limit < 1:
            return []
        kept = await self._connection.call("LRANGE", spec.history_key, 0, limit - 1, safe=True)
        return [event for event in map(_event, reversed(kept)) if event is not None]

    async def replay(
        self,
        channel: str,
        *,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> AsyncIterator[Event]:
        """A durable channel's events again, oldest first, in pages; from and to a time, or a ``stream_id``, inclusive.

        Reads only: groups and acknowledgments stay as they are. What is no envelope is left out.
        """
        [spec] = self._specs([channel])
        _durable(spec)
        after, last = _bound(since, "-"), _bound(until, "+")
        while True:
            reply = await self._connection.call("XRANGE", spec.stream_key, after, last, "COUNT", PAGE, safe=True)
            if not reply:
                return
            for stream_id, fields in reply:
                event = _event(dict(zip(fields[::2], fields[1::2], strict=True)).get(b"envelope", b""))
                if event is not None:
                    yield event.at(stream_id.decode())
            after = f"({reply[-1][0].decode()}"

    async def backlog(self, channel: str) -> Backlog:
        """What the service's group has yet to do on a durable channel: its lag, and its age. Two round trips, O(groups
        of the stream). ``GroupMissing`` before a consumer has made the group."""
        [spec] = self._specs([channel])
        _durable(spec)
        return await backlog(self._connection, spec)

    def outbox(self, table: str) -> Outbox:
        """An outbox in this table of the service's PostgreSQL, ``table`` or ``schema.table``; else ``ContractError``.
        Nothing is asked of a database yet."""
        return Outbox(self._connection, self._publisher, self._metrics, table)

    def dead_letters(self, channel: str) -> DeadLetters:
        """The service's dead letters of a durable channel."""
        [spec] = self._specs([channel])
        _durable(spec)
        return DeadLetters(self._connection, spec)

    async def _listen(self) -> None:
        if self._subscription is None:
            return
        async with self._subscription as events:
            async for event in events:
                with spans.handling(event, None) as attempt:
                    try:
                        await self._handlers[event.channel](event)
                    except Exception as error:
                        attempt.failed(type(error).__name__)
                        self._metrics.event_error(event.channel, "handler")

    def _specs(self, names: Sequence[str]) -> list[ChannelSpec]:
        contract = self._connection.contract
        specs = {spec.channel: spec for name in names for spec in contract.subscribed(name)}
        return list(specs.values())


def _durable(spec: ChannelSpec) -> None:
    if not spec.durable:
        raise errors.ContractError(f"{spec.channel} is not durable")


def _event(text: bytes) -> Event | None:
    try:
        return Event.decode(text)
    except errors.ValueInvalid:
        return None


def _bound(moment: datetime | str | None, otherwise: str) -> str:
    """A bound of a range of streams: ids begin with milliseconds since 1970."""
    if moment is None:
        return otherwise
    if isinstance(moment, datetime):
        return str(int(moment.timestamp() * 1000))
    return moment

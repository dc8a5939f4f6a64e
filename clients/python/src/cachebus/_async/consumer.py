"""Durable events, each handled at least once."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeAlias

from .. import errors
from ..contract import ChannelSpec
from ..envelope import Event
from ..metrics import Metrics
from ..options import ConsumerOptions
from .connection import Connection
from .primitives import Flag, Repeat
from .streams import Entry, Streams

_log = logging.getLogger("cachebus")

Handler: TypeAlias = Callable[[Event], Awaitable[None]]

LONGEST_PAUSE = 2.0


class Consumer:
    """One consumer of a service's group; from :meth:`EventBus.consumer`.

    Events of a channel are handled one after the other in their order, as far as this consumer gets them: run several
    for more at once, and the order between those is lost. An event is acknowledged after its handler returned, so it
    is handled again where the process dies in between: handlers have to bear that, e.g. by ``event_id``.
    """

    def __init__(
        self,
        connection: Connection,
        handlers: Mapping[str, Handler],
        channels: Sequence[ChannelSpec],
        options: ConsumerOptions,
        metrics: Metrics,
    ) -> None:
        service = connection.contract.service
        self._streams = Streams(connection, channels, service, options)
        self._handlers = handlers
        self._options = options
        self._metrics = metrics
        self._stopped = Flag()
        self._begun = False
        self._next_claim = 0.0
        self._cursors = {spec.channel: "0-0" for spec in channels}
        # Entries that were handed out to this consumer and are not done with.
        self._held: dict[ChannelSpec, list[str]] = {}

    def stop(self) -> None:
        """Ends :meth:`run` after the event that is being handled, within ``block`` seconds and the handler's time.
        Others that were fetched already are given back."""
        self._stopped.set()

    async def run(self) -> None:
        """Handles events until :meth:`stop`. A bus that is away is waited for; ``Denied`` is raised."""
        pause = 0.05
        async with Repeat(self._options.claim_after / 3, self._keep):
            try:
                while not self._stopped.is_set():
                    try:
                        await self._make_groups()
                        await self._finish()
                        pause = 0.05
                        await self._work()
                    except errors.GroupMissing:
                        await self._streams.disconnect()
                    except errors.CacheBusError as error:
                        if not error.retryable:
                            raise
                        await self._wait(error, pause)
                        pause = min(pause * 2, LONGEST_PAUSE)
            finally:
                await self._streams.disconnect()

    async def _make_groups(self) -> None:
        """Once they exist, a group that is missing was lost, and what its stream holds is new to us."""
        start = "$" if self._options.start == "latest" and not self._begun else "0"
        made = await self._streams.make_groups(start)
        if self._begun:
            for spec in made:
                self._metrics.event_error(spec.channel, "group_lost")
                _log.error("%s: the stream or its consumer group was lost: events may be missing", spec.channel)
        self._begun = True

    async def _finish(self) -> None:
        """Handles what was handed out to this consumer and is not done with."""
        for spec in self._streams.channels:
            after = "0"
            while not self._stopped.is_set():
                entries = await self._streams.unfinished(spec, after)
                if not entries:
                    break
                after = entries[-1].stream_id
                await self._handle_all(entries)

    async def _work(self) -> None:
        while not self._stopped.is_set():
            if time.monotonic() >= self._next_claim:
                await self._claim()
            await self._handle_all(await self._streams.new())

    async def _claim(self) -> None:
        self._next_claim = time.monotonic() + self._options.claim_every
        for spec in self._streams.channels:
            cursor, entries, lost = await self._streams.claim(spec, self._cursors[spec.channel])
            self._cursors[spec.channel] = cursor
            self._count_lost(spec, lost)
            await self._handle_all(entries)
            if cursor != "0-0":
                self._next_claim = 0.0

    async def _handle_all(self, entries: list[Entry]) -> None:
        for entry in entries:
            self._held.setdefault(entry.spec, []).append(entry.stream_id)
        try:
            for entry in entries:
                if self._stopped.is_set():
                    await self._give_back()
                    return
                await self._handle(entry)
                self._held[entry.spec].remove(entry.stream_id)
        finally:
            self._held.clear()

    async def _handle(self, entry: Entry) -> None:
        channel = entry.spec.channel
        if entry.deliveries == 0:
            # Acknowledged since it was handed out.
            return
        if not entry.fields:
            await self._streams.acknowledge(entry)
            self._count_lost(entry.spec, 1)
            return
        try:
            event = Event.decode(entry.fields[b"envelope"]).at(entry.stream_id, entry.deliveries)
        except (KeyError, errors.ValueInvalid):
            await self._bury(entry, "invalid")
            return
        if entry.deliveries > self._options.max_deliveries:
            await self._bury(entry, "deliveries")
            return
        failure = await self._tried(event, self._handlers[channel])
        if failure is None:
            await self._streams.acknowledge(entry)
            self._metrics.consumed(channel)
        else:
            await self._bury(entry, failure)

    async def _tried(self, event: Event, handler: Handler) -> str | None:
        """Has the event handled; the last failure's name where none of the attempts worked."""
        failure = None
        for attempt in range(self._options.attempts):
            if attempt:
                longest = self._options.longest_backoff
                backoff = min(self._options.backoff * 2 ** (attempt - 1), longest)
                await self._stopped.wait(backoff * random.uniform(0.5, 1.0))  # noqa: S311
            begun = time.monotonic()
            try:
                await handler(event)
            except Exception as error:
                # Its text may hold what the event holds.
                failure = type(error).__name__
                self._metrics.event_error(event.channel, "handler")
                _log.warning("%s: the handler of %s failed: %s", event.channel, event.event_id, failure)
            else:
                return None
            finally:
                self._metrics.processed(event.channel, time.monotonic() - begun)
        return failure

    async def _bury(self, entry: Entry, reason: str) -> None:
        await self._streams.bury(entry, reason)
        self._metrics.event_error(entry.spec.channel, "dead_letter")
        _log.error("%s: %s is a dead letter: %s", entry.spec.channel, entry.stream_id, reason)

    async def _keep(self) -> bool:
        """Has nobody claim what is held here."""
        for spec, ids in list(self._held.items()):
            if ids:
                try:
                    await self._streams.hold(spec, list(ids))
                except errors.CacheBusError as error:
                    _log.warning("%s: held events may be claimed by others: %s", spec.channel, error)
        return True

    async def _give_back(self) -> None:
        for spec, ids in self._held.items():
            if ids:
                await self._streams.hold(spec, ids, idle=self._options.claim_after)

    def _count_lost(self, spec: ChannelSpec, number: int) -> None:
        if number:
            self._metrics.event_error(spec.channel, "lost", number)
            _log.error("%s: %d events were dropped before they were handled", spec.channel, number)

    async def _wait(self, error: errors.CacheBusError, pause: float) -> None:
        for spec in self._streams.channels:
            self._metrics.event_error(spec.channel, "connection")
        _log.warning("the bus does not answer, and is asked again: %s", error)
        await self._streams.disconnect()
        await self._stopped.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311

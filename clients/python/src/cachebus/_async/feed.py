"""Where a consumer's work comes from."""

from __future__ import annotations

import logging
import time
from collections.abc import Hashable, Mapping, Sequence

from .. import errors
from ..contract import ChannelSpec
from ..envelope import Event
from ..metrics import Metrics
from ..options import ConsumerOptions
from ..pauses import Pauses
from .lanes import Lanes, Work
from .primitives import Flag
from .streams import Entry, Streams
from .worker import count_lost

_log = logging.getLogger("cachebus")

# Where a look through all pending entries begins, and has ended.
FROM_THE_BEGINNING = "0-0"
# Seconds that a read waits while a channel has its fill: it may have room sooner than others have events.
BRIEFLY = 0.02
# Seconds without a read after which its connection is not trusted: servers close those on which nothing is said
# (`timeout`).
SILENCE = 60.0


class Feed:
    """Gives the lanes what this consumer left, what others left, and what is new."""

    def __init__(
        self, streams: Streams, lanes: Lanes, options: ConsumerOptions, metrics: Metrics, stopped: Flag
    ) -> None:
        self._streams = streams
        self._lanes = lanes
        self._options = options
        self._metrics = metrics
        self._stopped = stopped
        # The groups existed once: where one is missing, it was lost.
        self._begun = False
        # After which entry to go on with what this consumer left of a channel; absent where there is no more.
        self._left_after: dict[ChannelSpec, str] = {}
        self._cursors = dict.fromkeys(streams.channels, FROM_THE_BEGINNING)
        self._next_claim = 0.0

    async def run(self) -> None:
        """Returns when it is stopped; what waiting does not mend is raised."""
        pauses = Pauses()
        try:
            while not self._stopped.is_set():
                try:
                    await self._prepare()
                    pauses.reset()
                    await self._feed()
                except errors.CacheBusError as error:
                    if not error.retryable:
                        raise
                    # What waits may be claimed by others meanwhile: it is read again.
                    self._lanes.forget_waiting()
                    await self._streams.disconnect()
                    if not isinstance(error, errors.GroupMissing):
                        await self._wait(error, pauses)
        finally:
            await self._streams.disconnect()

    async def _prepare(self) -> None:
        """What its stream holds is new to a group that was lost."""
        start = "$" if self._options.start == "latest" and not self._begun else "0"
        made = await self._streams.make_groups(start)
        if self._begun:
            for spec in made:
                self._metrics.event_error(spec.channel, "group_lost")
                _log.error("%s: the stream or its consumer group was lost: events may be missing", spec.channel)
        self._begun = True
        self._left_after = dict.fromkeys(self._streams.channels, "0")

    async def _feed(self) -> None:
        channels = self._streams.channels
        silent_since = time.monotonic()
        while (free := await self._lanes.room(channels)) and await self._switched_on():
            if time.monotonic() - silent_since > SILENCE:
                await self._streams.disconnect()
            begun = [spec for spec in free if spec in self._left_after]
            if begun:
                await self._go_on(begun)
            elif time.monotonic() >= self._next_claim:
                await self._claim(free)
            else:
                block = self._options.block
                if len(free) < len(channels):
                    block = min(block, BRIEFLY)
                self._add(await self._streams.new(free, block))
            silent_since = time.monotonic()

    async def _switched_on(self) -> bool:
        """Waits while events are switched off; ``False`` where it is stopped meanwhile."""
        if not self._streams.events_enabled:
            _log.info("events are switched off: none is consumed until they are on")
        return await self._streams.events_on(self._stopped)

    async def _go_on(self, channels: Sequence[ChannelSpec]) -> None:
        """Takes up what was handed out to this consumer and is not done with."""
        for spec in channels:
            held = self._lanes.held()
            entries = await self._streams.unfinished(spec, self._left_after[spec])
            if entries:
                self._left_after[spec] = entries[-1].stream_id
            else:
                del self._left_after[spec]
            self._add_unless(held, entries)

    async def _claim(self, channels: Sequence[ChannelSpec]) -> None:
        """Takes over what others left."""
        more = False
        for spec in channels:
            held = self._lanes.held()
            cursor, entries, lost = await self._streams.claim(spec, self._cursors[spec])
            more = more or cursor != FROM_THE_BEGINNING
            self._cursors[spec] = cursor
            count_lost(self._metrics, spec.channel, lost)
            self._add_unless(held, entries)
        if not more:
            self._next_claim = time.monotonic() + self._options.claim_every

    def _add_unless(self, held: Mapping[ChannelSpec, set[str]], entries: Sequence[Entry]) -> None:
        """What was held before it was read may be done with since."""
        self._add([entry for entry in entries if entry.stream_id not in held.get(entry.spec, ())])

    def _add(self, entries: Sequence[Entry]) -> None:
        self._lanes.add([self._work(entry) for entry in entries])

    def _work(self, entry: Entry) -> Work:
        try:
            event = Event.decode(entry.fields[b"envelope"]).at(entry.stream_id, entry.deliveries)
        except (KeyError, errors.ValueInvalid):
            return Work(entry, None, entry.spec.channel)
        return Work(entry, event, self._key(event))

    def _key(self, event: Event) -> Hashable:
        if self._options.ordered_by is not None:
            try:
                key = self._options.ordered_by(event)
                hash(key)
            except Exception:
                _log.warning(
                    "%s: %s is ordered by its channel, for its key cannot be told", event.channel, event.event_id
                )
            else:
                return key
        return event.channel

    async def _wait(self, error: errors.CacheBusError, pauses: Pauses) -> None:
        for spec in self._streams.channels:
            self._metrics.event_error(spec.channel, "connection")
        _log.warning("the bus does not answer, and is asked again: %s", error)
        await self._stopped.wait(pauses.next())

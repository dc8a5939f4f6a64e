"""Events as they are published."""

from __future__ import annotations

import logging
import random
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Sequence
from types import TracebackType

from redis import exceptions

from .. import errors
from ..contract import ChannelSpec
from ..envelope import Event
from ..metrics import Metrics
from .connection import Connection
from .primitives import Flag, RawConnection, read_push

_log = logging.getLogger("cachebus")

# Seconds that one read waits.
READ = 1.0
# Reads without anything after which a connection is asked whether it lives; it has as many to answer.
SILENT_READS = 5
LONGEST_PAUSE = 2.0
# Ids by which an event that is both heard and found in the history is told from a new one.
REMEMBERED = 4096


class Subscription:
    """Live events of some channels; from :meth:`EventBus.subscribe`.

    Entering it waits until the server listens. A lost connection is made again, and what was published meanwhile is
    filled in from the channel's history, in order. Where the history does not reach back far enough, ``gaps`` is
    counted up and ``event_errors_total{reason="gap"}`` with it: events may be missing. Each event comes once.

    While the contract has events switched off there are none, as if the connection was lost: what others publish
    meanwhile is filled in once they are on.
    """

    def __init__(self, connection: Connection, channels: Sequence[ChannelSpec], metrics: Metrics) -> None:
        self._connection = connection
        self._channels = {spec.channel: spec for spec in channels}
        self._metrics = metrics
        self._raw: RawConnection | None = None
        self._ready: deque[Event] = deque()
        # The newest event of each channel; absent before the first look, `None` where there was none.
        self._newest: dict[str, str | None] = {}
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._silent_reads = 0
        self._stopped = Flag()
        self.gaps = 0

    async def __aenter__(self) -> Subscription:
        await self._subscribe()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        await self._disconnect()

    def stop(self) -> None:
        """Ends the iteration within a second."""
        self._stopped.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        pause = 0.05
        while not self._stopped.is_set():
            if not self._connection.contract.events_enabled:
                await self._disconnect()
                await self._connection.events_on(self._stopped)
                continue
            if self._ready:
                return self._ready.popleft()
            try:
                raw = self._raw
                if raw is None:
                    await self._subscribe()
                    pause = 0.05
                    continue
                await self._hear(raw)
            except (exceptions.RedisError, OSError, errors.CacheBusError) as error:
                if isinstance(error, errors.Denied):
                    raise
                _log.warning("a subscription was cut off (%s) and is made again", type(error).__name__)
                await self._disconnect()
                await self._stopped.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311
                pause = min(pause * 2, LONGEST_PAUSE)
        raise StopAsyncIteration

    async def _subscribe(self) -> None:
        raw = await self._connection.dedicated(read_timeout=READ)
        self._raw = raw
        self._silent_reads = 0
        try:
            await raw.send_command("SUBSCRIBE", *self._channels)
            for _ in self._channels:
                await raw.read_response()
        except exceptions.NoPermissionError:
            await self._disconnect()
            raise errors.Denied("SUBSCRIBE: the service's rights do not allow it") from None
        except (exceptions.RedisError, OSError):
            await self._disconnect()
            raise errors.Unavailable("no answer to SUBSCRIBE") from None
        for spec in self._channels.values():
            await self._fill(spec)

    async def _fill(self, spec: ChannelSpec) -> None:
        """Takes from the history what came since the newest event that was seen."""
        if not spec.history:
            return
        kept = await self._connection.call("LRANGE", spec.history_key, 0, spec.history - 1, safe=True)
        events = [event for event in map(self._event, kept) if event is not None]
        if spec.channel not in self._newest:
            self._newest[spec.channel] = events[0].event_id if events else None
            return
        newest = self._newest[spec.channel]
        missed: list[Event] = []
        for event in events:
            if event.event_id == newest:
                break
            missed.append(event)
        else:
            if newest is not None or len(events) == spec.history:
                self.gaps += 1
                self._metrics.event_error(spec.channel, "gap")
                _log.warning("%s: the history does not reach back far enough", spec.channel)
        for event in reversed(missed):
            self._take(event)

    async def _hear(self, raw: RawConnection) -> None:
        message = await read_push(raw, READ)
        if message is None:
            await self._doubt(raw)
            return
        self._silent_reads = 0
        if message[0] == b"message":
            event = self._event(message[2])
            if event is None or event.channel != message[1].decode():
                self._metrics.event_error(message[1].decode(), "invalid")
            else:
                self._take(event)

    async def _doubt(self, raw: RawConnection) -> None:
        self._silent_reads += 1
        if self._silent_reads == SILENT_READS:
            await raw.send_command("PING")
        elif self._silent_reads == 2 * SILENT_READS:
            raise errors.Unavailable("a subscription's connection is silent")

    def _take(self, event: Event) -> None:
        self._newest[event.channel] = event.event_id
        if event.event_id in self._seen:
            return
        self._seen[event.event_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        self._metrics.consumed(event.channel)
        self._ready.append(event)

    def _event(self, text: bytes) -> Event | None:
        try:
            return Event.decode(text)
        except errors.ValueInvalid:
            return None

    async def _disconnect(self) -> None:
        raw, self._raw = self._raw, None
        if raw is not None:
            try:
                await raw.disconnect()
            except (exceptions.RedisError, OSError):
                return

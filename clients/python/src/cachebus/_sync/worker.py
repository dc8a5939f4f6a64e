"""What becomes of one entry after the other."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

from .. import errors, spans
from ..envelope import Event
from ..metrics import Metrics
from ..options import ConsumerOptions
from ..pauses import Pauses
from .lanes import Lanes, Work
from .primitives import Flag
from .streams import Entry, Streams

_log = logging.getLogger("cachebus")

Handler: TypeAlias = Callable[[Event], None]


class Worker:
    """Does the lanes' work until it is stopped."""

    def __init__(
        self,
        streams: Streams,
        lanes: Lanes,
        handlers: Mapping[str, Handler],
        options: ConsumerOptions,
        metrics: Metrics,
        stopped: Flag,
    ) -> None:
        self._streams = streams
        self._lanes = lanes
        self._handlers = handlers
        self._options = options
        self._metrics = metrics
        self._stopped = stopped

    def run(self) -> None:
        """What waiting does not mend is raised."""
        while (work := self._lanes.take()) is not None:
            if not self._handle(work):
                return
            self._lanes.done(work)

    def _handle(self, work: Work) -> bool:
        """``False``: it was stopped before its handler succeeded or used up its attempts, or nobody took the
        acknowledgment."""
        if not self._streams.events_on(self._stopped):
            return False
        entry, event, channel = work.entry, work.event, work.entry.spec.channel
        if entry.deliveries == 0:
            # Acknowledged since it was handed out.
            return True
        if not entry.fields:
            acknowledged = self._acknowledge(entry)
            count_lost(self._metrics, channel, 1)
            return acknowledged
        if event is None:
            return self._bury(entry, "invalid")
        if entry.deliveries > self._options.max_deliveries:
            return self._bury(entry, "deliveries")
        pauses = Pauses(self._options.backoff, self._options.longest_backoff)
        for attempt in itertools.count(1):
            failure = self._tried(channel, event)
            if failure is None:
                break
            if attempt >= self._options.attempts:
                return self._bury(entry, failure)
            if self._stopped.wait(pauses.next()) or not self._streams.events_on(self._stopped):
                return False
        acknowledged = self._acknowledge(entry)
        self._metrics.consumed(channel)
        return acknowledged

    def _tried(self, channel: str, event: Event) -> str | None:
        """Has the event handled; the failure's name where that did not work."""
        with spans.handling(event, self._streams.group) as attempt:
            begun = time.monotonic()
            try:
                self._handlers[channel](event)
            except Exception as error:
                # Its text may hold what the event holds.
                failure = type(error).__name__
                attempt.failed(failure)
            else:
                return None
            finally:
                self._metrics.processed(channel, time.monotonic() - begun)
            self._metrics.event_error(channel, "handler")
            _log.warning("%s: the handler of %s failed: %s", channel, event.event_id, failure)
            return failure

    def _acknowledge(self, entry: Entry) -> bool:
        return self._until_answered(entry, lambda: self._streams.acknowledge(entry))

    def _bury(self, entry: Entry, reason: str) -> bool:
        channel = entry.spec.channel
        unknown = False

        def bury() -> None:
            nonlocal unknown
            # Done as a whole or not at all: the acknowledgment tells.
            if unknown and not self._streams.is_pending(entry):
                return
            try:
                self._streams.bury(entry, reason)
            except errors.OutcomeUnknown:
                unknown = True
                raise

        buried = self._until_answered(entry, bury)
        if buried:
            self._metrics.event_error(channel, "dead_letter")
            _log.error("%s: %s is a dead letter: %s", channel, entry.stream_id, reason)
        return buried

    def _until_answered(self, entry: Entry, say: Callable[[], None]) -> bool:
        """Says again what nobody answered. Its handler is not run again for that, nor do later events of its key
        begin."""
        pauses = Pauses()
        while True:
            try:
                say()
            except errors.CacheBusError as error:
                if not error.retryable and not isinstance(error, errors.OutcomeUnknown):
                    raise
                self._metrics.event_error(entry.spec.channel, "connection")
                _log.warning("the bus does not answer, and is asked again: %s", error)
            else:
                return True
            if self._stopped.wait(pauses.next()):
                return False


def count_lost(metrics: Metrics, channel: str, number: int) -> None:
    """Events were dropped before they were handled."""
    if number:
        metrics.event_error(channel, "lost", number)
        _log.error("%s: %d events were dropped before they were handled", channel, number)

"""Durable events, each handled at least once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from .. import errors
from ..contract import ChannelSpec
from ..metrics import Metrics
from ..options import ConsumerOptions
from .backlog import backlog
from .connection import Connection
from .feed import Feed
from .lanes import Lanes
from .primitives import Flag, Repeat, run_all
from .streams import Streams
from .worker import Handler, Worker

_log = logging.getLogger("cachebus")


class Consumer:
    """One consumer of a service's group; from :meth:`EventBus.consumer`.

    Events of a channel are handled one after the other in their order, as far as this consumer gets them. With the
    options ``concurrency`` and ``ordered_by`` those of different keys are handled at the same time, and only those of
    one key one after the other. Between several consumers, such as a service's pods, there is no order.

    An event is acknowledged after its handler returned, so it is handled again where the process dies in between:
    handlers have to bear that, for example by ``event_id``. A handler that fails is tried again after a pause, and
    later events of its key wait meanwhile; after the last attempt its event becomes a dead letter, in one step with its
    acknowledgment. What a consumer that died was handed out is taken over by others.

    While the contract has events switched off no handler begins, nor another attempt, and nothing more is acknowledged:
    the group keeps it all, and the consumer goes on where it was once they are on. A handler that is under way ends,
    and its event is acknowledged where it succeeds; where it emits, it may fail for a ``DISABLED``, and is tried again
    then.
    """

    def __init__(
        self,
        connection: Connection,
        handlers: Mapping[str, Handler],
        channels: Sequence[ChannelSpec],
        options: ConsumerOptions,
        metrics: Metrics,
    ) -> None:
        workers = max(options.concurrency, 1)
        self._connection = connection
        self._options = options
        self._metrics = metrics
        self._stopped = Flag()
        self._streams = Streams(connection, channels, connection.contract.service, options)
        self._lanes = Lanes(workers, max(options.batch, 1) * workers)
        self._feed = Feed(self._streams, self._lanes, options, metrics, self._stopped)
        self._workers = [
            Worker(self._streams, self._lanes, handlers, options, metrics, self._stopped) for _ in range(workers)
        ]
        self._failure: errors.CacheBusError | None = None

    def stop(self) -> None:
        """Ends :meth:`run` after the events that are being handled, within ``block`` seconds and the handlers' time.
        Others that were fetched already are given back, and so is one whose handler waits for its next attempt."""
        self._stopped.set()
        self._lanes.close()

    def run(self) -> None:
        """Handles events until :meth:`stop`. A bus that is away is waited for; what waiting does not mend, such as
        ``Denied``, is raised."""
        try:
            with (
                Repeat(self._options.claim_after / 3, self._keep),
                Repeat(self._options.measure_every, self._measure),
            ):
                run_all(self._fed, *(self._working(worker) for worker in self._workers))
        finally:
            self.stop()
        self._give_back()
        if self._failure is not None:
            raise self._failure

    def _fed(self) -> None:
        self._unless_it_fails(self._feed.run)

    def _working(self, worker: Worker) -> Callable[[], None]:
        return lambda: self._unless_it_fails(worker.run)

    def _unless_it_fails(self, call: Callable[[], None]) -> None:
        """One that fails stops the others, which finish what they have begun."""
        try:
            call()
        except errors.CacheBusError as error:
            self._failure = self._failure or error
            self.stop()
        except BaseException:
            self.stop()
            raise

    def _keep(self) -> bool:
        """Has nobody claim what is held here."""
        for spec, ids in self._lanes.held().items():
            try:
                self._streams.hold(spec, list(ids))
            except errors.CacheBusError as error:
                _log.warning("%s: held events may be claimed by others: %s", spec.channel, error)
        return True

    def _give_back(self) -> None:
        """Lets others claim at once what is left."""
        for spec, ids in self._lanes.held().items():
            try:
                self._streams.hold(spec, list(ids), idle=self._options.claim_after)
            except errors.CacheBusError as error:
                _log.warning("%s: what was not handled waits until it is claimed: %s", spec.channel, error)

    def _measure(self) -> bool:
        """Tells the metrics how far the group is behind, also while all handlers are busy."""
        for spec in self._streams.channels:
            try:
                self._metrics.backlog(spec.channel, backlog(self._connection, spec))
            except errors.CacheBusError as error:
                _log.debug("%s: its backlog is not known: %s", spec.channel, error)
        return True

"""Emits what an outbox holds."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from .. import errors, table
from ..envelope import Event
from ..metrics import Metrics
from ..options import RelayOptions
from ..outcome import Outcome
from ..pauses import Pauses
from ..table import Table
from .backlog import outbox_backlog
from .connection import Connection
from .primitives import Flag
from .publisher import Publisher
from .rows import rows

if TYPE_CHECKING:
    import psycopg

_log = logging.getLogger("cachebus")

# Seconds after which a transaction ends with the event that is being emitted, however many it has left.
LONGEST_ROUND = 10.0
# Seconds that it takes at most to notice a stop while nothing is to be done.
LISTEN = 0.5
# How long the database is waited for where it is not said, in libpq's words: seconds, and milliseconds. One that is
# gone without a word is found out by what is sent to it, which is something every `poll_every`.
TIMEOUTS: Mapping[str, int] = {"connect_timeout": 5, "tcp_user_timeout": 30_000}


class Round(Enum):
    """How a transaction went."""

    # There may be more.
    FULL = 1
    # There is no more, or it is another's to emit, or events are switched off.
    EMPTY = 2
    # The bus did not take one.
    HELD = 3


class Relay:
    """Emits what an outbox holds; from :meth:`Outbox.relay`.

    Run one in each of a service's processes: one at a time works, and another goes on where it ends, in whichever
    language. It reads the events in the order in which they were added, emits them one after the other and removes them
    when the bus, and with ``durability: Quorum`` enough of its copies, has them. Where it ends between the two an event
    is emitted again, and told from the first by its id within five minutes. One that is frozen loses its turn to
    another after 30 s with the default ``Settings.deadline``.

    While the bus does not take an event those after it wait. One that it can never take, such as one of a channel that
    the service does not publish any more, is set aside in the table (``refused``) and counted as ``refused``, and the
    others go on. While events are switched off they wait.
    """

    def __init__(
        self,
        connection: Connection,
        publisher: Publisher,
        metrics: Metrics,
        table: Table,
        conninfo: str,
        options: RelayOptions,
    ) -> None:
        self._connection = connection
        self._publisher = publisher
        self._metrics = metrics
        self._table = table
        self._conninfo = _with_timeouts(conninfo)
        self._options = options
        self._stopped = Flag()

    def stop(self) -> None:
        """Ends :meth:`run` after the event that is being emitted, within half a second where there is none."""
        self._stopped.set()

    async def run(self) -> None:
        """Emits until :meth:`stop`. A bus or a database that is away is waited for; ``DatabaseRefused`` where waiting
        does not mend it, such as a table that does not exist."""
        import psycopg

        pauses = Pauses()
        while not self._stopped.is_set():
            try:
                async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as database:
                    await self._work(database, pauses)
            except psycopg.ProgrammingError as error:
                raise errors.DatabaseRefused(error.sqlstate) from error
            except psycopg.Error as error:
                # Its words may hold values.
                state = error.sqlstate or "no answer"
                _log.warning("the database of an outbox does not answer, and is asked again: %s", state)
                await self._stopped.wait(pauses.next())

    async def _work(self, database: psycopg.AsyncConnection[Any], pauses: Pauses) -> None:
        """Works on one connection, until it is stopped or that ends."""
        idle = 2 * (LONGEST_ROUND + self._connection.settings.deadline)
        await database.execute(self._table.begin(round(idle * 1000)))
        next_measure = time.monotonic()
        while not self._stopped.is_set():
            if time.monotonic() >= next_measure:
                self._metrics.outbox(await outbox_backlog(database, self._table))
                next_measure = time.monotonic() + self._options.measure_every
            went = await self._round(database)
            if went is Round.HELD:
                await self._stopped.wait(pauses.next())
                continue
            pauses.reset()
            if went is Round.EMPTY:
                await self._wait(database)

    async def _wait(self, database: psycopg.AsyncConnection[Any]) -> None:
        """Returns when a commit has woken it, or ``poll_every`` is over."""
        until = time.monotonic() + self._options.poll_every
        woken = False
        while not woken and not self._stopped.is_set() and (left := until - time.monotonic()) > 0:
            async for _ in database.notifies(timeout=min(left, LISTEN), stop_after=1):
                woken = True

    async def _round(self, database: psycopg.AsyncConnection[Any]) -> Round:
        async with database.transaction():
            [(alone,)] = await rows(database, table.LOCK, [self._table.wakes])
            if not alone:
                return Round.EMPTY
            begun = time.monotonic()
            batch = max(self._options.batch, 1)
            waiting = await rows(database, self._table.next(), [batch])
            went = Round.EMPTY if len(waiting) < batch else Round.FULL
            emitted: list[int] = []
            for position, channel, envelope in waiting:
                if self._stopped.is_set() or time.monotonic() - begun > LONGEST_ROUND:
                    went = Round.FULL
                    break
                try:
                    outcome = await self._emit(envelope)
                except errors.CacheBusError as error:
                    # Where nobody knows whether it was done it may be done again: a reader tells it by its id.
                    if error.retryable or isinstance(error, errors.OutcomeUnknown):
                        _log.warning("the bus does not take an event of the outbox, and is asked again: %s", error)
                        went = Round.HELD
                        break
                    await database.execute(self._table.refuse(), [type(error).__name__, position])
                    self._metrics.event_error(channel, "refused")
                    _log.error("event %d of the outbox is set aside: %s", position, error)
                    continue
                if outcome is Outcome.DISABLED:
                    went = Round.EMPTY
                    break
                emitted.append(position)
            await database.execute(self._table.remove(), [emitted])
        return went

    async def _emit(self, envelope: str) -> Outcome:
        return (await self._publisher.emit(Event.decode(envelope))).outcome


def _with_timeouts(conninfo: str) -> str:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    try:
        said = conninfo_to_dict(conninfo)
        return make_conninfo(conninfo, **{name: value for name, value in TIMEOUTS.items() if name not in said})
    except psycopg.ProgrammingError:
        # Its words may hold the password.
        raise errors.ContractError("the conninfo of the database of an outbox cannot be read") from None

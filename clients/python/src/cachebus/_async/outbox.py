"""Events that are written together with what they tell of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import errors
from ..backlog import OutboxBacklog
from ..envelope import Event
from ..metrics import Metrics
from ..options import RelayOptions
from ..table import Table
from .backlog import outbox_backlog
from .connection import Connection
from .publisher import Publisher
from .relay import Relay
from .rows import rows

if TYPE_CHECKING:
    import psycopg


class Outbox:
    """A table of PostgreSQL that holds events until they are emitted; from :meth:`EventBus.outbox`.

    An event is added within the transaction that makes it true, and emitted by a :class:`Relay` after that has
    committed: both happen or none does, whatever crashes in between. Needs psycopg 3: ``pip install cachebus[outbox]``.
    """

    def __init__(self, connection: Connection, publisher: Publisher, metrics: Metrics, table: str) -> None:
        self._connection = connection
        self._publisher = publisher
        self._metrics = metrics
        self._table = Table(table)

    def ddl(self) -> str:
        """What makes the table, and leaves one that exists as it is. Whoever adds needs ``INSERT`` on it and ``USAGE``
        on its sequence, the relay ``SELECT``, ``UPDATE`` and ``DELETE``."""
        return self._table.ddl()

    async def add(self, database: psycopg.AsyncConnection[Any], event: Event) -> bool:
        """Adds an event to the transaction that ``database`` is in, or begins, and wakes relays when that commits.
        ``False`` where an event of this id waits already.

        One round trip. ``ContractError`` where the service does not publish the channel, ``ValueInvalid`` where it
        would be no envelope: nothing comes into the table that could never leave it. ``ContractError`` too where
        ``database`` commits by itself and is in no transaction. An error of the database is raised as it is, and ends
        the transaction, as any does.
        """
        if database.autocommit and database.info.transaction_status.name == "IDLE":
            raise errors.ContractError("an event is added to an outbox within a transaction")
        self._connection.contract.published(event.channel)
        words = (event.event_id, event.channel, event.encode(), self._table.wakes)
        return bool(await rows(database, self._table.add(), words))

    async def backlog(self, database: psycopg.AsyncConnection[Any]) -> OutboxBacklog:
        """What the table holds. It is counted: O(events in the table)."""
        return await outbox_backlog(database, self._table)

    async def retry_refused(self, database: psycopg.AsyncConnection[Any]) -> int:
        """Has what was set aside emitted after all, once what kept it from that is mended, and ``database`` has
        committed. Says how many events there were."""
        return (await database.execute(self._table.retry())).rowcount

    def relay(self, conninfo: str, options: RelayOptions | None = None) -> Relay:
        """What emits the events: at least once each, in the order in which they were added.

        It connects by itself, as ``conninfo`` says in libpq's words: ``postgresql://…`` or ``host=… dbname=…``;
        ``ContractError`` where it says nothing. Where it has no timeouts, 5 s are waited for a connection and 30 s for
        one that does not answer.
        """
        return Relay(self._connection, self._publisher, self._metrics, self._table, conninfo, options or RelayOptions())

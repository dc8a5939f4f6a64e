"""One connection to the bus, and all that a service does with it."""

from __future__ import annotations

from types import TracebackType

from .. import binding
from ..binding import Source
from ..metrics import Metrics
from ..settings import Settings
from ..watched import Watched
from .cache import Cache
from .connection import Connection
from .events import EventBus
from .locks import Locks


class CacheBus:
    """Cache, events and locks of a service, as its binding grants them. One for a process is enough.

    ``source``: where the binding is; by default it is looked for as :func:`cachebus.discover` says. Nothing is
    connected before the first call. A changed binding (password, authority, contract) is in use within
    ``reload_every`` seconds.
    """

    def __init__(
        self,
        source: Source | None = None,
        *,
        settings: Settings | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        settings = settings or Settings.from_environment()
        metrics = metrics or Metrics()
        watched = Watched(source or binding.discover(), settings.reload_every)
        self._connection = Connection(watched, settings)
        self.cache = Cache(self._connection, metrics)
        self.events = EventBus(self._connection, metrics)

    def locks(self, keyspace: str) -> Locks:
        """The locks of a keyspace; ``ContractError`` where it holds none."""
        return Locks(self._connection, keyspace)

    def close(self) -> None:
        """Closes the connections; those in use when their calls end."""
        self.cache.close()
        self._connection.close()

    def __enter__(self) -> CacheBus:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

"""Where the bus of a run is, and how each side reaches it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import redis
import redis.asyncio

from cachebus import CacheBus as ThreadsBus
from cachebus import Folder
from cachebus.aio import CacheBus

HOST = "127.0.0.1"
# Connections at most, of whoever takes one for each call: as many as the client has by default.
CONNECTIONS = 50


class Place:
    """Where the bus of a run is: of the service's binding, as ``cachebus dev`` makes it, by TLS."""

    def __init__(self, binding: Path, folder: Path, port: int, tls_port: int, ca: Path) -> None:
        self.tls_port = tls_port
        self.ca = ca
        self._port = port
        self._folder = folder
        for entry in binding.iterdir():
            # It would say where plain text is spoken.
            if entry.name != "uri":
                shutil.copy(entry, folder)
        for name, text in (("port", str(tls_port)), ("tls", "true"), ("ca.crt", ca.read_text())):
            (folder / name).write_text(text)

    def bus(self) -> CacheBus:
        """A client of the service, as its code would have it."""
        return CacheBus(Folder(self._folder))

    def bus_of_threads(self) -> ThreadsBus:
        """The same for threads."""
        return ThreadsBus(Folder(self._folder))

    def raw(self) -> redis.asyncio.Redis:
        """Plain redis-py, as the same service and in the same way."""
        pool = redis.asyncio.BlockingConnectionPool(
            connection_class=redis.asyncio.SSLConnection, max_connections=CONNECTIONS, **self._login(), **self.tls()
        )
        return redis.asyncio.Redis(connection_pool=pool)

    def raw_of_threads(self) -> redis.Redis:
        """The same for threads."""
        pool = redis.BlockingConnectionPool(
            connection_class=redis.SSLConnection, max_connections=CONNECTIONS, **self._login(), **self.tls()
        )
        return redis.Redis(connection_pool=pool)

    def admin(self) -> redis.asyncio.Redis:
        """Somebody who may do everything, by plain text."""
        return redis.asyncio.Redis(host=HOST, port=self._port)

    def url(self) -> str:
        """For the server's default user, by TLS."""
        return f"rediss://{HOST}:{self.tls_port}"

    def tls(self) -> dict[str, Any]:
        """Where it is, and whom to trust there."""
        return {"host": HOST, "port": self.tls_port, "ssl_ca_certs": str(self.ca)}

    def _login(self) -> dict[str, Any]:
        return {name: (self._folder / name).read_text() for name in ("username", "password")}

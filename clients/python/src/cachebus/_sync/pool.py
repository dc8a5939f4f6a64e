"""Connections to the primary, wherever that is."""

from __future__ import annotations

import random
import time
from typing import Any
from weakref import WeakKeyDictionary

from redis import exceptions

from .. import errors
from ..binding import Address, Binding
from ..settings import Settings
from ..trust import Trust
from ..watched import Watched
from .primitives import Mutex, RawConnection, RawTlsConnection, Slots, is_stale


class Pool:
    """Hands out connections. Those of a former binding or primary are closed when they come back."""

    def __init__(self, watched: Watched, settings: Settings) -> None:
        self._watched = watched
        self._settings = settings
        self._trust = Trust()
        self._slots = Slots(settings.max_connections)
        self._idle: list[RawConnection] = []
        # Connections of former generations are not used again.
        self._generations: WeakKeyDictionary[RawConnection, tuple[int, int]] = WeakKeyDictionary()
        self._moves = 0
        self._address: Address | None = None
        self._finding = Mutex()
        # Sentinels' epoch of the primary that was found last; 0 where none was asked.
        self.epoch = 0
        self._closed = False

    @property
    def generation(self) -> tuple[int, int]:
        """Changes with the binding and with each search for the primary."""
        return (self._watched.generation, self._moves)

    def forget(self, generation: tuple[int, int]) -> None:
        """The primary of this generation is none any more: it is searched for before the next call."""
        if generation == self.generation:
            self._moves += 1
            self._address = None

    def take(self, until: float) -> RawConnection:
        """A connection for a call; ``Unavailable`` where there is none in time."""
        if self._closed:
            raise errors.Unavailable("the client is closed")
        if not self._slots.take(until - time.monotonic()):
            raise errors.Unavailable("all connections are in use")
        try:
            self._watched.current()
            while (connection := self._next_idle()) is not None:
                if self._is_current(connection) and not is_stale(connection):
                    return connection
                self._close(connection)
            return self.connect()
        except BaseException:
            self._slots.give()
            raise

    def give(self, connection: RawConnection) -> None:
        """Takes a connection back on which nothing is outstanding."""
        if self._closed or not self._is_current(connection):
            self.discard(connection)
        else:
            self._idle.append(connection)
            self._slots.give()

    def discard(self, connection: RawConnection) -> None:
        """Closes a connection that was handed out."""
        try:
            self._close(connection)
        finally:
            self._slots.give()

    def close(self) -> None:
        """Closes all that are idle, and the others when they come back."""
        self._closed = True
        while (connection := self._next_idle()) is not None:
            self._close(connection)

    def _next_idle(self) -> RawConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def connect(self, *, read_timeout: float | None = None) -> RawConnection:
        """A new connection to the primary, which is not counted. ``read_timeout``: for calls that block."""
        generation = self.generation
        try:
            return self._connect(read_timeout)
        except errors.AuthenticationFailed:
            # The files may be newer than what was read of them.
            self._watched.current(now=True)
            if generation == self.generation:
                raise
            return self._connect(read_timeout)
        except errors.Unavailable:
            self.forget(generation)
            raise

    def _connect(self, read_timeout: float | None) -> RawConnection:
        binding = self._watched.current()
        address = self._primary(binding)
        generation = self.generation
        connection = self._open(binding, address, read_timeout)
        self._generations[connection] = generation
        try:
            role = (_ask(connection, "ROLE"))[0]
        except BaseException:
            self._close(connection)
            raise
        if role != b"master":
            self._close(connection)
            raise errors.Refused(f"the server at {address[0]}:{address[1]} is no primary")
        return connection

    def _primary(self, binding: Binding) -> Address:
        if not binding.sentinels or binding.master_name is None:
            return binding.address
        name = binding.master_name
        with self._finding:
            if self._address is None:
                self._address = self._found(binding, name)
            return self._address

    def _found(self, binding: Binding, name: str) -> Address:
        """What the first Sentinel that answers says; the binding's own address where none does."""
        for sentinel in random.sample(binding.sentinels, len(binding.sentinels)):
            try:
                connection = self._open(binding, sentinel, None)
            except errors.CacheBusError:
                continue
            try:
                reply = _ask(connection, "SENTINEL", "MASTER", name)
            except errors.CacheBusError:
                continue
            finally:
                self._close(connection)
            state = dict(zip(reply[::2], reply[1::2], strict=True))
            self.epoch = max(self.epoch, int(state[b"config-epoch"]))
            return (state[b"ip"].decode(), int(state[b"port"]))
        return binding.address

    def _open(self, binding: Binding, address: Address, read_timeout: float | None) -> RawConnection:
        settings = self._settings
        options: dict[str, Any] = {
            "host": address[0],
            "port": address[1],
            "username": binding.username,
            "password": binding.password,
            "protocol": 2,
            "socket_connect_timeout": settings.connect_timeout,
            "socket_timeout": read_timeout or settings.command_timeout,
            "socket_keepalive": True,
        }
        kind: type[RawConnection] = RawConnection
        if binding.tls:
            kind = RawTlsConnection
            options["trust"] = self._trust.context(binding.ca_pem)
        connection = kind(**options)
        try:
            connection.connect()
        except exceptions.AuthenticationError:
            raise errors.AuthenticationFailed(
                f"{address[0]}:{address[1]} does not take the binding's credentials"
            ) from None
        except (exceptions.RedisError, OSError):
            raise errors.Unavailable(f"{address[0]}:{address[1]} cannot be reached") from None
        return connection

    def _is_current(self, connection: RawConnection) -> bool:
        return self._generations.get(connection) == self.generation

    def _close(self, connection: RawConnection) -> None:
        self._generations.pop(connection, None)
        try:
            connection.disconnect()
        except (exceptions.RedisError, OSError):
            # Gone already.
            return


def _ask(connection: RawConnection, *command: str) -> Any:
    """A call of the connection's own set-up, so that nothing is lost where it fails."""
    try:
        connection.send_command(*command)
        return connection.read_response()
    except exceptions.NoPermissionError:
        raise errors.Denied(f"{command[0]}: the service's rights do not allow it") from None
    except (exceptions.RedisError, OSError):
        raise errors.Unavailable(f"no answer to {command[0]}") from None

"""What asyncio and threads do differently. ``cachebus._async.primitives`` is its twin."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar

from redis import exceptions
from redis.connection import Connection as RawConnection
from redis.connection import SSLConnection

from .. import errors
from ..conversation import Conversation, Push

__all__ = [
    "Background",
    "Condition",
    "Feed",
    "Flag",
    "Guard",
    "Link",
    "Mutex",
    "RawConnection",
    "RawTlsConnection",
    "Repeat",
    "SingleFlight",
    "Slots",
    "Window",
    "each",
    "is_stale",
    "read_push",
    "run_all",
    "set_read_timeout",
    "sleep",
]

T = TypeVar("T")

# Read from a connection at once, at most.
READ_BYTES = 65536
# Between two looks at a connection on which nothing comes, in milliseconds.
LOOK = 1000

Mutex = threading.Lock
sleep = time.sleep
Guard = threading.Lock
Condition = threading.Condition

# What yields items one by one.
Feed: TypeAlias = Iterable[T]


def each(feed: Feed[T]) -> Iterator[T]:
    """The items as they come."""
    return iter(feed)


class Slots:
    """A bounded number of places."""

    def __init__(self, number: int) -> None:
        self._semaphore = threading.Semaphore(number)

    def take(self, timeout: float) -> bool:
        """Takes a place; ``False`` where none is free in time."""
        return self._semaphore.acquire(timeout=max(timeout, 0))

    def give(self) -> None:
        self._semaphore.release()


class Flag:
    """Is set once."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float) -> bool:
        """Waits until it is set; ``False`` where it is not in time."""
        return self._event.wait(timeout)


class Repeat:
    """Calls something every so many seconds while it is entered, until that returns ``False``."""

    def __init__(self, every: float, call: Callable[[], bool]) -> None:
        self._every = every
        self._call = call
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="cachebus-repeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._thread = None

    def __enter__(self) -> Repeat:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stopped.wait(self._every):
            if not self._call():
                return


class SingleFlight(Generic[T]):
    """Calls at the same time with the same key share one call, and its result or error."""

    def __init__(self) -> None:
        self._flights: dict[str, Future[T]] = {}
        self._lock = threading.Lock()

    def do(self, key: str, call: Callable[[], T]) -> T:
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if leads:
            try:
                flight.set_result(call())
            except BaseException as error:
                flight.set_exception(error)
            finally:
                with self._lock:
                    del self._flights[key]
        return flight.result()


class Background:
    """Calls that nobody waits for. They deal with their own errors."""

    def start(self, call: Callable[[], None]) -> None:
        threading.Thread(target=call, name="cachebus-background", daemon=True).start()

    def close(self) -> None:
        """Nothing: they cannot be ended, and do not keep the process from its end."""


class Window(Generic[T]):
    """Calls of which so many are on their way at the same time. Left with an error, those are waited for."""

    def __init__(self, size: int) -> None:
        self._size = max(size, 1)
        self._executor = ThreadPoolExecutor(self._size, thread_name_prefix="cachebus")
        self._calls: set[Future[T]] = set()

    def __enter__(self) -> Window[T]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown()

    def begin(self, call: Callable[[], T]) -> list[T]:
        """Begins a call as soon as there is room; the results of those that it waited for."""
        ended = self.ended() if len(self._calls) >= self._size else []
        self._calls.add(self._executor.submit(call))
        return ended

    def ended(self) -> list[T]:
        """The results of at least one more, or the error of one; nothing where none is on its way."""
        if not self._calls:
            return []
        done, self._calls = wait(self._calls, return_when=FIRST_COMPLETED)
        return [call.result() for call in done]


class RawTlsConnection(SSLConnection):
    """One by TLS. ``trust`` checks the server's certificate, which is to be of the host's name."""

    def __init__(self, *, trust: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self._trust = trust

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        # In place of a context that it would make for itself, and that would trust whomever the system trusts.
        return self._trust.wrap_socket(sock, server_hostname=self.host)


class Link:
    """A connection by RESP3, for any number of calls at the same time, on which the server also says what it was not
    asked for. ``hear`` and ``lost`` must not wait."""

    def __init__(self, connection: RawConnection, hear: Callable[[Push], None], lost: Callable[[], object]) -> None:
        self._connection = connection
        self._conversation = Conversation(hear)
        self._lost = lost
        # Whoever reads or writes: TLS bears one at a time.
        self._lock = threading.Lock()
        sock: Any = connection._sock
        self._sock = sock
        self._thread = threading.Thread(target=self._run, name="cachebus-link", daemon=True)
        self.is_open = True

    def start(self) -> None:
        """Listens from now on."""
        self._thread.start()

    def ask(self, commands: Sequence[Sequence[str | int]], patience: float) -> list[Any]:
        """The answers to commands that are sent at once; ``Unavailable`` where they do not come in time."""
        answers: Future[list[Any]] = Future()
        packed = b"".join(self._connection.pack_commands(commands))
        try:
            with self._lock:
                if not self.is_open:
                    raise errors.Unavailable("the connection ended")
                self._conversation.expect(len(commands), answers)
                self._sock.settimeout(patience)
                self._sock.sendall(packed)
            return answers.result(patience)
        except (exceptions.ConnectionError, FutureTimeoutError, OSError):
            raise errors.Unavailable(f"no answer to {commands[0][0]}") from None

    def close(self) -> None:
        """Ends the connection."""
        self._end()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLIN)
        try:
            while self.is_open:
                data = self._receive()
                if data is None:
                    poll.poll(LOOK)
                elif data:
                    self._conversation.feed(data)
                else:
                    return
        except (exceptions.RedisError, OSError):
            # The same as an end.
            return
        finally:
            self._end()
            self._conversation.end()
            with contextlib.suppress(exceptions.RedisError, OSError):
                self._connection.disconnect()

    def _receive(self) -> bytes | None:
        """What has come; ``None`` where that is nothing yet."""
        with self._lock:
            self._sock.settimeout(0)
            try:
                data: bytes = self._sock.recv(READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
        return data

    def _end(self) -> None:
        with self._lock:
            if not self.is_open:
                return
            self.is_open = False
            with contextlib.suppress(OSError):
                # Wakes who listens.
                self._sock.shutdown(socket.SHUT_RDWR)
        self._lost()


def is_stale(connection: RawConnection) -> bool:
    """Whether an idle connection was closed, or holds what nobody asked for."""
    try:
        return bool(connection.can_read(timeout=0))
    except (exceptions.ConnectionError, OSError):
        return True


def set_read_timeout(connection: RawConnection, seconds: float) -> None:
    """How long a connected one waits for a reply."""
    connection.socket_timeout = seconds
    # redis-py sets it when it connects only.
    sock: Any = connection._sock
    sock.settimeout(seconds)


def read_push(connection: RawConnection, timeout: float) -> Any:
    """What the server sends unasked; ``None`` where nothing comes in time."""
    if not connection.can_read(timeout=timeout):
        return None
    return connection.read_response()


def run_all(*calls: Callable[[], None]) -> None:
    """Runs each in a thread until all have ended, or one fails."""
    executor = ThreadPoolExecutor(max(len(calls), 1), thread_name_prefix="cachebus")
    try:
        futures = [executor.submit(call) for call in calls]
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
    finally:
        executor.shutdown(wait=False)

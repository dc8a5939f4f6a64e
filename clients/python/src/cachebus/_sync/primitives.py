"""What asyncio and threads do differently. ``cachebus._async.primitives`` is its twin."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Generic, TypeVar

from redis import exceptions
from redis.connection import Connection as RawConnection
from redis.connection import SSLConnection as RawTlsConnection

__all__ = [
    "Condition",
    "Flag",
    "Guard",
    "Mutex",
    "RawConnection",
    "RawTlsConnection",
    "Repeat",
    "SingleFlight",
    "Slots",
    "is_stale",
    "read_push",
    "run_all",
    "set_read_timeout",
    "sleep",
]

T = TypeVar("T")

Mutex = threading.Lock
sleep = time.sleep
Guard = threading.Lock
Condition = threading.Condition


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

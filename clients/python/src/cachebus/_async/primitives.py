"""What asyncio and threads do differently. ``cachebus._sync.primitives`` is its twin, written by hand."""

from __future__ import annotations

import asyncio
import contextlib
import select
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, TypeVar

from redis import exceptions
from redis.asyncio.connection import Connection as RawConnection
from redis.asyncio.connection import SSLConnection as RawTlsConnection

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

Mutex = asyncio.Lock
sleep = asyncio.sleep
# Of what is never changed across an `await`: nothing else runs meanwhile.
Guard = contextlib.nullcontext


class Condition:
    """Who waits for a state to change looks at it again each time that is said to have happened. Its guard is held by
    who waits, which lets it go meanwhile, and by who says so."""

    def __init__(self, guard: contextlib.AbstractContextManager[None]) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    async def wait(self) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    def notify(self) -> None:
        """Wakes one who waits."""
        while self._waiting:
            waiting = self._waiting.pop()
            # Else it is cancelled, and has not noticed yet.
            if not waiting.done():
                waiting.set_result(None)
                return

    def notify_all(self) -> None:
        while self._waiting:
            self.notify()


class Slots:
    """A bounded number of places."""

    def __init__(self, number: int) -> None:
        self._semaphore = asyncio.Semaphore(number)

    async def take(self, timeout: float) -> bool:
        """Takes a place; ``False`` where none is free in time."""
        if not self._semaphore.locked():
            await self._semaphore.acquire()
            return True
        try:
            await asyncio.wait_for(self._semaphore.acquire(), timeout)
        except (asyncio.TimeoutError, TimeoutError):
            return False
        return True

    def give(self) -> None:
        self._semaphore.release()


class Flag:
    """Is set once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        self._event.set()

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self, timeout: float) -> bool:
        """Waits until it is set; ``False`` where it is not in time."""
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(self._event.wait(), timeout)
        return self._event.is_set()


class Repeat:
    """Calls something every so many seconds while it is entered, until that returns ``False``."""

    def __init__(self, every: float, call: Callable[[], Awaitable[bool]]) -> None:
        self._every = every
        self._call = call
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        # Before Python 3.12 `asyncio.wait_for` may lose a cancellation.
        self._stopped = True
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def __aenter__(self) -> Repeat:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def _run(self) -> None:
        while not self._stopped:
            await asyncio.sleep(self._every)
            if not await self._call():
                return


class SingleFlight(Generic[T]):
    """Calls at the same time with the same key share one call, and its result or error."""

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Future[T]] = {}

    async def do(self, key: str, call: Callable[[], Awaitable[T]]) -> T:
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.ensure_future(call())
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        # One caller that is cancelled does not cancel it for the others.
        return await asyncio.shield(flight)


async def is_stale(connection: RawConnection) -> bool:
    """Whether an idle connection was closed, or holds what nobody asked for."""
    if _has_input(connection):
        return True
    try:
        # The name until redis-py 7.
        probe = getattr(connection, "can_read", None) or connection.can_read_destructive
        return bool(await probe())
    except (exceptions.ConnectionError, OSError):
        return True


def _has_input(connection: RawConnection) -> bool:
    """Whether the socket has something that the event loop has not seen: the loop may have been busy elsewhere."""
    writer = connection._writer
    if writer is None or writer.is_closing():
        return True
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))


def set_read_timeout(connection: RawConnection, seconds: float) -> None:
    """How long a connected one waits for a reply."""
    connection.socket_timeout = seconds


async def read_push(connection: RawConnection, timeout: float) -> Any:
    """What the server sends unasked; ``None`` where nothing comes in time."""
    return await connection.read_response(timeout=timeout)


async def run_all(*calls: Callable[[], Awaitable[None]]) -> None:
    """Runs all until each has ended; where one fails, the rest are cancelled."""
    tasks = [asyncio.ensure_future(call()) for call in calls]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

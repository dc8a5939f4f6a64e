"""What asyncio and threads do differently. ``cachebus._sync.primitives`` is its twin, written by hand."""

from __future__ import annotations

import asyncio
import contextlib
import select
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar

from redis import exceptions
from redis.asyncio.connection import Connection as RawConnection
from redis.asyncio.connection import SSLConnection

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


# What yields items one by one.
Feed: TypeAlias = "AsyncIterable[T] | Iterable[T]"


async def each(feed: Feed[T]) -> AsyncIterator[T]:
    """The items as they come."""
    if isinstance(feed, AsyncIterable):
        async for item in feed:
            yield item
    else:
        for item in feed:
            yield item


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


class Background:
    """Calls that nobody waits for. They deal with their own errors."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, call: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await call()

        task = asyncio.ensure_future(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Ends them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Window(Generic[T]):
    """Calls of which so many are on their way at the same time. Left with an error, those are given up."""

    def __init__(self, size: int) -> None:
        self._size = max(size, 1)
        self._calls: set[asyncio.Task[T]] = set()

    async def __aenter__(self) -> Window[T]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def begin(self, call: Callable[[], Awaitable[T]]) -> list[T]:
        """Begins a call as soon as there is room; the results of those that it waited for."""

        async def run() -> T:
            return await call()

        ended = await self.ended() if len(self._calls) >= self._size else []
        self._calls.add(asyncio.ensure_future(run()))
        return ended

    async def ended(self) -> list[T]:
        """The results of at least one more, or the error of one; nothing where none is on its way."""
        if not self._calls:
            return []
        done, self._calls = await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
        for problem in [call.exception() for call in done]:
            if problem is not None:
                raise problem
        return [call.result() for call in done]


class RawTlsConnection(SSLConnection):
    """One by TLS. ``trust`` checks the server's certificate, which is to be of the host's name."""

    def __init__(self, *, trust: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        # In place of one that it would make for itself, and that would trust whomever the system trusts.
        self.ssl_context.context = trust


class Link:
    """A connection by RESP3, for any number of calls at the same time, on which the server also says what it was not
    asked for. ``hear`` and ``lost`` must not wait."""

    def __init__(self, connection: RawConnection, hear: Callable[[Push], None], lost: Callable[[], object]) -> None:
        self._connection = connection
        self._conversation = Conversation(hear)
        self._lost = lost
        self._task: asyncio.Task[None] | None = None
        self.is_open = True

    async def start(self) -> None:
        """Listens from now on."""
        self._task = asyncio.ensure_future(self._run())

    async def ask(self, commands: Sequence[Sequence[str | int]], patience: float) -> list[Any]:
        """The answers to commands that are sent at once; ``Unavailable`` where they do not come in time."""
        writer = self._connection._writer
        if not self.is_open or writer is None:
            raise errors.Unavailable("the connection ended")
        answers: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._conversation.expect(len(commands), answers)
        writer.write(b"".join(self._connection.pack_commands(commands)))
        try:
            return await asyncio.wait_for(answers, patience)
        except (exceptions.ConnectionError, asyncio.TimeoutError, TimeoutError):
            raise errors.Unavailable(f"no answer to {commands[0][0]}") from None

    async def close(self) -> None:
        """Ends the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._end()

    async def _run(self) -> None:
        reader = self._connection._reader
        try:
            while reader is not None and (data := await reader.read(READ_BYTES)):
                self._conversation.feed(data)
        except (exceptions.RedisError, OSError):
            # The same as an end.
            return
        finally:
            await self._end()

    async def _end(self) -> None:
        if self.is_open:
            self.is_open = False
            self._lost()
            self._conversation.end()
        with contextlib.suppress(exceptions.RedisError, OSError):
            await self._connection.disconnect()


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

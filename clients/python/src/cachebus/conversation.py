"""What a server says by RESP3: answers, in the order of the questions, and what it was not asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from redis import exceptions

UNINTELLIGIBLE = "what the server says is no RESP3"


class Push(list[Any]):
    """What a server says unasked; its kind comes first."""


class Awaited(Protocol):
    """A future, of asyncio or of threads."""

    def done(self) -> bool: ...

    def set_result(self, result: list[Any], /) -> None: ...

    def set_exception(self, exception: BaseException, /) -> None: ...


class Conversation:
    """Hands answers to those who wait for them. ``hear`` is called with each push before any later answer is given."""

    def __init__(self, hear: Callable[[Push], None]) -> None:
        self._hear = hear
        self._replies = Replies()
        # How many answers each waits for, and where they go.
        self._waiting: deque[tuple[int, Awaited]] = deque()
        self._answers: list[Any] = []

    def expect(self, number: int, awaited: Awaited) -> None:
        """So many questions are sent now. Errors are answers, and so is what a subscription is confirmed with."""
        self._waiting.append((number, awaited))

    def feed(self, data: bytes) -> None:
        """Takes what has come. ``RedisError`` where that makes no sense: nothing more can be made of this server."""
        for reply in self._replies.feed(data):
            if isinstance(reply, Push) and reply[:1] != [b"subscribe"]:
                self._hear(reply)
            else:
                self._answer(reply)

    def end(self) -> None:
        """Nothing more comes: whoever waits gets a ``ConnectionError``."""
        waiting, self._waiting = self._waiting, deque()
        for _, awaited in waiting:
            if not awaited.done():
                awaited.set_exception(exceptions.ConnectionError("the connection ended"))

    def _answer(self, reply: Any) -> None:
        if not self._waiting:
            raise exceptions.InvalidResponse("an answer that nobody waits for")
        number, awaited = self._waiting[0]
        self._answers.append(reply)
        if len(self._answers) == number:
            self._waiting.popleft()
            answers, self._answers = self._answers, []
            if not awaited.done():
                awaited.set_result(answers)


class _MoreToCome(Exception):
    pass


class Replies:
    """Bytes to replies: ``bytes``, ``int``, ``float``, ``bool``, ``None``, lists (of a map: keys and values in turn),
    :class:`Push`, and ``ResponseError`` in place of an error."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._place = 0

    def feed(self, data: bytes) -> Iterator[Any]:
        """The replies that are whole by now."""
        self._buffer += data
        while True:
            self._place = 0
            try:
                reply = self._next()
            except _MoreToCome:
                return
            except ValueError:
                raise exceptions.InvalidResponse(UNINTELLIGIBLE) from None
            del self._buffer[: self._place]
            yield reply

    def _next(self) -> Any:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return exceptions.ResponseError(rest.decode(errors="replace"))
        if kind in (b":", b"("):
            return int(rest)
        if kind == b"_":
            return None
        if kind == b",":
            return float(rest)
        if kind == b"#":
            return rest == b"t"
        return self._sized(kind, int(rest))

    def _sized(self, kind: bytes, size: int) -> Any:
        if kind in (b"$", b"=", b"!"):
            data = self._bytes(size) if size >= 0 else None
            if kind == b"!" and data is not None:
                return exceptions.ResponseError(data.decode(errors="replace"))
            # The first four bytes of a verbatim string say what it is.
            return data[4:] if kind == b"=" and data is not None else data
        if kind in (b"*", b"~"):
            return [self._next() for _ in range(size)] if size >= 0 else None
        if kind == b">":
            return Push(self._next() for _ in range(size))
        if kind == b"%":
            return [self._next() for _ in range(2 * size)]
        if kind == b"|":
            # Attributes of the reply that follows.
            for _ in range(2 * size):
                self._next()
            return self._next()
        raise exceptions.InvalidResponse(UNINTELLIGIBLE)

    def _line(self) -> bytes:
        end = self._buffer.find(b"\r\n", self._place)
        if end < 0:
            raise _MoreToCome
        line = bytes(self._buffer[self._place : end])
        self._place = end + 2
        return line

    def _bytes(self, size: int) -> bytes:
        end = self._place + size
        if len(self._buffer) < end + 2:
            raise _MoreToCome
        data = bytes(self._buffer[self._place : end])
        self._place = end + 2
        return data

"""What tests with asyncio and with threads do differently; tests/threads/twins.py is the twin."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from pytest_asyncio import fixture

T = TypeVar("T")

__all__ = ["background", "fixture", "nap", "soon", "together"]

nap = asyncio.sleep


async def together(number: int, call: Callable[[], Awaitable[T]]) -> list[T]:
    """The results of so many calls at the same time."""
    return await asyncio.gather(*(call() for _ in range(number)))


@contextlib.asynccontextmanager
async def background(call: Callable[[], Awaitable[Any]], stop: Callable[[], None]) -> AsyncIterator[None]:
    """Runs something meanwhile; then stops it, and raises what it raised."""
    task = asyncio.ensure_future(call())
    try:
        yield
    finally:
        stop()
        await asyncio.wait_for(task, 30)


async def soon(condition: Callable[[], object], within: float = 30.0) -> None:
    """Waits until a condition holds, while the rest goes on."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.01)

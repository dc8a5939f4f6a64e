"""What tests with asyncio and with threads do differently; tests/aio/twins.py is the twin."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

fixture = pytest.fixture

__all__ = ["background", "fixture", "nap", "soon", "together"]

nap = time.sleep


def together(number: int, call: Callable[[], T]) -> list[T]:
    """The results of so many calls at the same time."""
    with ThreadPoolExecutor(number) as executor:
        return [future.result() for future in [executor.submit(call) for _ in range(number)]]


@contextlib.contextmanager
def background(call: Callable[[], Any], stop: Callable[[], None]) -> Iterator[None]:
    """Runs something meanwhile; then stops it, and raises what it raised."""
    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(call)
        try:
            yield
        finally:
            stop()
            future.result(30)


def soon(condition: Callable[[], object], within: float = 30.0) -> None:
    """Waits until a condition holds, while the rest goes on."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within} s"
        time.sleep(0.01)

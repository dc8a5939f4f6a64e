"""Handlers that keep what they are handed, and consumers of the channel of the tests."""

from __future__ import annotations

import dataclasses
from typing import Any

import redis

import rights
from cachebus import CacheBus, ConsumerOptions, Event

STREAM, DEAD = "events:task:created:stream", f"events:task:created:dead:{rights.SERVICE}"
OPTIONS = ConsumerOptions(name="here", block=0.1, backoff=0.01, claim_after=0.5, claim_every=0.1)


class Handled:
    """A handler that keeps what it was handed."""

    def __init__(self, *, fails: int = 0) -> None:
        self.events: list[Event] = []
        self.numbers: list[object] = []
        self._fails = fails

    def handle(self, event: Event) -> None:
        if self._fails:
            self._fails -= 1
            raise ValueError("secret")
        self.events.append(event)
        self.numbers.append(event.data["n"])


def emit(bus: CacheBus, *numbers: int) -> None:
    for number in numbers:
        bus.events.emit(bus.events.event("task:created", {"n": number}))


def consumer(bus: CacheBus, handler: Any, **changes: Any) -> Any:
    return bus.events.consumer({"task:created": handler}, dataclasses.replace(OPTIONS, **changes))


def pending(admin: redis.Redis) -> int:
    try:
        return int(admin.xpending(STREAM, rights.SERVICE)["pending"])
    except redis.ResponseError:
        return 0

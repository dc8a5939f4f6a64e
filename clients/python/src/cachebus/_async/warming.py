"""Filling a keyspace before it is asked for."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import NamedTuple, TypeAlias, TypeVar

from .. import errors
from ..keys import Parts
from ..warming import Entry, Warmed
from .connection import Command
from .primitives import Feed, Window, each
from .values import BATCH, Values

V = TypeVar("V")
_log = logging.getLogger("cachebus")

# A batch is sent when its values have this many bytes, however few they are.
BATCH_BYTES = 1024 * 1024

Entries: TypeAlias = "Feed[Entry[V] | tuple[Parts, V]]"


class Batch(NamedTuple):
    """What is sent at once, and how many entries were left out of it."""

    commands: list[Command]
    invalid: int


async def warm(
    values: Values[V], entries: Entries[V], *, at_once: int, replace: bool, progress: Callable[[Warmed], None]
) -> Warmed:
    """See :meth:`Keyspace.warm`."""
    warmed = Warmed()
    if not values.enabled:
        return warmed

    def tell(sent: list[Warmed]) -> None:
        nonlocal warmed
        for batch in sent:
            warmed += batch
            progress(warmed)

    async with Window[Warmed](at_once) as window:
        async for batch in _batches(values, entries, () if replace else ("NX",)):
            tell(await window.begin(partial(_send, values, batch, replace)))
        while sent := await window.ended():
            tell(sent)
    return warmed


async def _batches(values: Values[V], entries: Entries[V], options: tuple[str, ...]) -> AsyncIterator[Batch]:
    commands: list[Command] = []
    invalid, size = 0, 0
    async for entry in each(entries):
        entry = entry if isinstance(entry, Entry) else Entry(*entry)
        try:
            command = values.storing(values.key(entry.parts), entry.value, entry.ttl, *options)
        except (errors.KeyInvalid, errors.ValueInvalid) as error:
            invalid += 1
            _log.debug("an entry of %s is left out: %s", values.name, error)
            continue
        commands.append(command)
        size += sum(len(word) for word in command if isinstance(word, bytes))
        if len(commands) == BATCH or size >= BATCH_BYTES:
            yield Batch(commands, invalid)
            commands, invalid, size = [], 0, 0
    if commands or invalid:
        yield Batch(commands, invalid)


async def _send(values: Values[V], batch: Batch, replace: bool) -> Warmed:
    if not batch.commands:
        return Warmed(invalid=batch.invalid)
    try:
        replies = await values.send(batch.commands)
    finally:
        if replace and values.near is not None:
            values.near.clear()
    present = replies.count(None)
    return Warmed(len(replies) - present, present, batch.invalid)

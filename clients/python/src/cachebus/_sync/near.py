"""Values near at hand: in the memory of this process, as long as they are surely those of the server."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import errors, replies
from ..caching import Near
from ..conversation import Push
from ..entries import Entries, Kept
from ..envelope import Event
from ..keys import Part, Template
from .connection import Connection
from .primitives import Background, Flag, Link

_log = logging.getLogger("cachebus")

# How often within the bound the server is asked whether it has more to tell.
BEATS = 4
# The longest time between two questions, and until the next attempt after one that failed.
PAUSE = 1.0
# The same after an attempt that the service's rights do not allow.
PAUSE_WITHOUT_RIGHTS = 30.0


class Held(NamedTuple):
    """What a key holds, as it is stored."""

    # `None`: nothing.
    data: bytes | None
    # Seconds that it stays; `None`: it has no end.
    left: float | None


def held(data: Any, life: Any) -> Held:
    """What was answered to GET and PTTL."""
    # -1: without an end; -2: gone, and was there a moment before.
    return Held(data, None if life == -1 else max(life, 0) / 1000)


class NearCache:
    """The near cache of a keyspace. It takes one connection, on which it reads and hears of changes: in the server's
    order, so that what was read before a change is known to be."""

    def __init__(self, keyspace: str, connection: Connection, near: Near, background: Background) -> None:
        """``ContractError`` where the service does not subscribe to the channels."""
        names = near.invalidated_by
        self._names = [names] if isinstance(names, str) else list(names)
        self._keyspace = keyspace
        self._connection = connection
        self._near = near
        self._background = background
        self._begun = False
        self._closed = Flag()
        # Of all below. Nobody waits for anything while holding it.
        self._lock = threading.Lock()
        self._entries = Entries(near.max_bytes)
        self._link: Link | None = None
        self._generation = connection.generation
        # Rises with each connection.
        self._epoch = 0
        # All changes before this moment have been heard of.
        self._confirmed = 0.0
        self._channels()

    def look_up(self, key: str) -> Held | None:
        """What is held, or was read to be held. ``None``: at the moment this cache can do neither."""
        now = time.monotonic()
        with self._lock:
            begins, self._begun = not self._begun, True
            link, epoch, number = self._link, self._epoch, 0
            if link is not None and self._generation == self._connection.generation:
                certain = now - self._confirmed < self._near.staleness
                kept = self._entries.get(key, now) if certain else None
                if kept is not None:
                    return Held(kept.data, None if kept.ends is None else kept.ends - now)
                number = self._entries.expect(key)
        if begins:
            self._background.start(self._keep)
        if link is None or not number:
            return None
        try:
            return self._read(link, epoch, key, number, now)
        finally:
            with self._lock:
                self._entries.give_up(key, number)

    def forget(self, keys: Sequence[str | bytes]) -> None:
        """These keys have changed."""
        with self._lock:
            for key in keys:
                self._entries.forget(_text(key))

    def clear(self) -> None:
        """Any key may have changed."""
        with self._lock:
            self._entries.clear()

    def close(self) -> None:
        """Holds nothing any more."""
        self._closed.set()
        with self._lock:
            epoch = self._epoch
        self._lose(epoch)

    def _read(self, link: Link, epoch: int, key: str, number: int, asked: float) -> Held | None:
        patience = self._connection.settings.command_timeout
        try:
            data, life = link.ask([("GET", key), ("PTTL", key)], patience)
        except errors.Unavailable:
            self._lose(epoch)
            if time.monotonic() - asked >= patience:
                raise
            return None
        if isinstance(data, Exception) or isinstance(life, Exception):
            # It is asked for again where a server's errors are dealt with.
            return None
        read = held(data, life)
        if read.data is not None:
            ends = None if read.left is None else asked + read.left
            with self._lock:
                self._entries.fill(key, number, Kept(read.data, ends, asked + self._near.max_age))
        return read

    def _keep(self) -> None:
        """Looks after the connection until the client is closed."""
        failing = False
        while not self._closed.is_set():
            pause = min(self._near.staleness / BEATS, PAUSE)
            try:
                self._beat()
                failing = False
            except errors.CacheBusError as error:
                if not failing:
                    _log.warning(
                        "nothing of %s is held near, values are read from the server: %s", self._keyspace, error
                    )
                failing = True
                lacks_rights = isinstance(error, (errors.Denied, errors.ContractError))
                pause = PAUSE_WITHOUT_RIGHTS if lacks_rights else PAUSE
            self._closed.wait(pause)

    def _beat(self) -> None:
        """Sees to the connection, and asks whether all has been told."""
        # It may be that no call does.
        self._connection.look()
        with self._lock:
            link, epoch, generation = self._link, self._epoch, self._generation
        if link is None or not link.is_open or generation != self._connection.generation:
            self._lose(epoch)
            self._connect()
            return
        asked = time.monotonic()
        try:
            link.ask([("PING",)], self._connection.settings.command_timeout)
        except errors.Unavailable:
            self._lose(epoch)
            raise
        with self._lock:
            if self._epoch == epoch:
                self._confirmed = asked

    def _connect(self) -> None:
        with self._lock:
            self._epoch += 1
            epoch = self._epoch
        generation = self._connection.generation
        patience = self._connection.settings.command_timeout
        link = Link(self._connection.dedicated(read_timeout=patience), self._hear, lambda: self._forget_link(epoch))
        link.start()
        try:
            asked = time.monotonic()
            self._listen(link, patience)
        except BaseException:
            link.close()
            raise
        with self._lock:
            closed = self._closed.is_set()
            if not closed:
                self._entries.clear()
                self._confirmed = asked
                self._generation = generation
                self._link = link
        if closed:
            link.close()

    def _listen(self, link: Link, patience: float) -> None:
        """Has the server tell of changes."""
        speaks, tracks = link.ask([("HELLO", 3), ("CLIENT", "TRACKING", "ON")], patience)
        if isinstance(speaks, Exception):
            raise replies.translate("HELLO", speaks)
        if not isinstance(tracks, Exception):
            return
        problem = replies.translate("CLIENT", tracks)
        if not isinstance(problem, errors.Denied) or not self._names:
            raise problem
        for answer in link.ask([("SUBSCRIBE", channel) for channel in self._channels()], patience):
            if isinstance(answer, Exception):
                raise replies.translate("SUBSCRIBE", answer)

    def _channels(self) -> list[str]:
        contract = self._connection.contract
        return [spec.channel for name in self._names for spec in contract.subscribed(name)]

    def _hear(self, push: Push) -> None:
        """Called where the connection is read: what came before on it has been dealt with, what comes after has not."""
        if push[0] == b"invalidate" and isinstance(push[1], list):
            self.forget(push[1])
        elif push[0] == b"invalidate":
            # All of them: FLUSHALL.
            self.clear()
        elif push[0] == b"message":
            key = self._meant(push[2])
            if key is None:
                self.clear()
            else:
                self.forget([key])

    def _meant(self, envelope: bytes) -> str | None:
        try:
            return key_of(Event.decode(envelope), self._connection.contract.keyspace(self._keyspace).template)
        except errors.CacheBusError:
            return None

    def _lose(self, epoch: int) -> None:
        """Nobody tells of changes any more."""
        link = self._forget_link(epoch)
        if link is not None:
            link.close()

    def _forget_link(self, epoch: int) -> Link | None:
        with self._lock:
            if self._epoch != epoch:
                return None
            link, self._link = self._link, None
            self._entries.clear()
            return link


def key_of(event: Event, template: Template) -> str | None:
    """The key of the value that an event means; ``None``: it does not say which."""
    parts: dict[str, Part] = {}
    for name in template.placeholders:
        part = event.data.get(name)
        if isinstance(part, bool) or not isinstance(part, (str, int)):
            return None
        parts[name] = part
    try:
        return template.key(parts)
    except errors.KeyInvalid:
        return None


def _text(key: str | bytes) -> str:
    return key if isinstance(key, str) else key.decode(errors="replace")

"""Calls with a deadline, repeated where nothing can be done twice by it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import Any, TypeAlias

from redis import exceptions

from .. import errors, replies
from ..contract import Contract
from ..settings import Settings
from ..watched import Watched
from .pool import Pool
from .primitives import Flag, RawConnection, set_read_timeout, sleep

Command: TypeAlias = Sequence["str | bytes | int"]

FIRST_PAUSE = 0.02
LONGEST_PAUSE = 0.5


class Connection:
    """The way to the primary. Replies are as the server sends them: ``bytes``, ``int``, lists, ``None``.

    ``safe`` calls may be done twice; any others are repeated only where the server surely did nothing.
    """

    def __init__(self, watched: Watched, settings: Settings) -> None:
        self.settings = settings
        self._watched = watched
        self._pool = Pool(watched, settings)

    @property
    def contract(self) -> Contract:
        """The contract as it is now."""
        return self._watched.current().contract

    async def events_on(self, stopped: Flag) -> bool:
        """Waits while the contract has events off; ``False`` where it is stopped meanwhile. Looks as often as at the
        binding's files."""
        while not self.contract.events_enabled:
            if await stopped.wait(max(self.settings.reload_every, FIRST_PAUSE)):
                return False
        return True

    @property
    def epoch(self) -> int:
        """Sentinels' epoch of the primary that was found last; 0 where the binding names no Sentinels."""
        return self._pool.epoch

    @property
    def generation(self) -> tuple[int, int]:
        """Changes when calls may go to another server than before."""
        return self._pool.generation

    def look(self) -> None:
        """Takes up what has changed in the binding, as each call does."""
        self._watched.current()

    async def call(self, *command: str | bytes | int, safe: bool, within: float = 0) -> Any:
        """One command's reply; its error is raised. ``within``: seconds, in place of the deadline."""
        [reply] = await self.pipeline([command], safe=safe, within=within)
        if isinstance(reply, errors.CacheBusError):
            raise reply
        return reply

    async def pipeline(
        self, commands: Sequence[Command], *, safe: bool, within: float = 0, blocks: float = 0
    ) -> list[Any]:
        """The replies of commands sent at once, which fail one by one: an error is in its command's place.

        Where the first is refused, all are taken for not done, and are repeated. ``blocks``: seconds for which the
        server may hold a reply back, besides ``command_timeout``.
        """
        until = time.monotonic() + (within or self.settings.deadline)
        pause = FIRST_PAUSE
        while True:
            try:
                return await self._attempt(commands, safe, until, blocks)
            except errors.CacheBusError as error:
                repeat = isinstance(error, errors.Unavailable) or (safe and isinstance(error, errors.OutcomeUnknown))
                if not repeat or time.monotonic() + pause >= until:
                    raise
            await sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(pause * 2, LONGEST_PAUSE)

    async def transaction(self, commands: Sequence[Command], *, safe: bool) -> list[Any]:
        """The replies of commands that are done together or not at all; any error is raised."""
        replies_of_all = await self.pipeline([("MULTI",), *commands, ("EXEC",)], safe=safe)
        for reply in replies_of_all:
            if isinstance(reply, errors.CacheBusError):
                raise reply
        results: list[Any] = replies_of_all[-1]
        for command, result in zip(commands, results, strict=True):
            if isinstance(result, exceptions.ResponseError):
                raise replies.translate(str(command[0]), result)
        return results

    async def dedicated(self, *, read_timeout: float) -> RawConnection:
        """A connection of the caller's own, for calls that block. It is not counted, and the caller closes it."""
        return await self._pool.connect(read_timeout=read_timeout)

    async def close(self) -> None:
        """Closes all connections that are not in use, and those when they come back."""
        await self._pool.close()

    async def _attempt(self, commands: Sequence[Command], safe: bool, until: float, blocks: float) -> list[Any]:
        name = str(commands[0][0])
        generation = self._pool.generation
        connection = await self._pool.take(until)
        try:
            if blocks:
                set_read_timeout(connection, self.settings.command_timeout + blocks)
            results = await exchange(connection, commands)
            if blocks:
                set_read_timeout(connection, self.settings.command_timeout)
        except exceptions.BusyLoadingError:
            await self._pool.discard(connection)
            raise errors.Refused(f"{name}: the server loads its data") from None
        except exceptions.AuthenticationError:
            await self._pool.discard(connection)
            raise errors.AuthenticationFailed(f"{name}: the session has ended") from None
        except (exceptions.RedisError, OSError):
            await self._pool.discard(connection)
            self._pool.forget(generation)
            raise errors.OutcomeUnknown(f"{name}: no answer", retryable=safe) from None
        except BaseException:
            # Cancelled: its reply would be the next call's.
            await self._pool.discard(connection)
            raise
        if (refusal := _refusal(name, results)) is not None:
            await self._pool.discard(connection)
            self._pool.forget(generation)
            raise replies.translate(name, refusal)
        await self._pool.give(connection)
        return [
            replies.translate(str(command[0]), result) if isinstance(result, Exception) else result
            for command, result in zip(commands, results, strict=True)
        ]


def _refusal(first: str, results: list[Any]) -> Exception | None:
    """The error by which a server has refused all of it: a transaction is refused by any of its commands."""
    for result in results if first == "MULTI" else results[:1]:
        if isinstance(result, Exception) and replies.is_refusal(result):
            return result
    return None


async def exchange(connection: RawConnection, commands: Sequence[Command]) -> list[Any]:
    """Sends commands and reads as many replies. Errors that servers answer are replies; others are raised."""
    if len(commands) == 1:
        await connection.send_packed_command(connection.pack_command(*commands[0]))
    else:
        await connection.send_packed_command(connection.pack_commands(commands))
    results: list[Any] = []
    for _ in commands:
        try:
            results.append(await connection.read_response())
        except exceptions.ResponseError as error:
            results.append(error)
    return results

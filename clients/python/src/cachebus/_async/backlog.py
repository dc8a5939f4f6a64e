"""What is yet to be done, asked of who knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import errors
from ..backlog import Backlog, OutboxBacklog
from ..contract import ChannelSpec
from ..table import Table
from .connection import Command, Connection
from .rows import rows

if TYPE_CHECKING:
    import psycopg


async def backlog(connection: Connection, spec: ChannelSpec) -> Backlog:
    """See :meth:`EventBus.backlog`."""
    group = connection.contract.service
    questions: list[Command] = [
        ("XINFO", "GROUPS", spec.stream_key),
        ("XPENDING", spec.stream_key, group),
        ("TIME",),
    ]
    groups, pending, time = await connection.pipeline(questions, safe=True)
    own = _own(groups, group.encode())
    for answer in (pending, time):
        if isinstance(answer, errors.CacheBusError):
            raise answer
    after = f"({own[b'last-delivered-id'].decode()}"
    following = await connection.call("XRANGE", spec.stream_key, after, "+", "COUNT", 1, safe=True)
    oldest = [_emitted_at(stream_id) for stream_id in (pending[1], *(entry[0] for entry in following)) if stream_id]
    now = int(time[0]) + int(time[1]) / 1_000_000
    return Backlog(
        pending=int(pending[0]),
        waiting=own.get(b"lag"),
        age=max(now - min(oldest), 0.0) if oldest else 0.0,
    )


async def outbox_backlog(database: psycopg.AsyncConnection[Any], table: Table) -> OutboxBacklog:
    """See :meth:`Outbox.backlog`."""
    [(waiting, refused, age)] = await rows(database, table.backlog())
    return OutboxBacklog(waiting, max(age, 0.0), refused)


def _own(groups: Any, name: bytes) -> dict[bytes, Any]:
    """What the server says of the service's group."""
    if isinstance(groups, errors.ServerError) and groups.code == "ERR":
        # There is no stream, and so no group.
        groups = []
    if isinstance(groups, errors.CacheBusError):
        raise groups
    for fields in groups:
        said: dict[bytes, Any] = dict(zip(fields[::2], fields[1::2], strict=True))
        if said[b"name"] == name:
            return said
    raise errors.GroupMissing("XINFO: the consumer group is not there")


def _emitted_at(stream_id: bytes) -> float:
    """The moment that an entry's id begins with, in seconds."""
    return int(stream_id.split(b"-")[0]) / 1000

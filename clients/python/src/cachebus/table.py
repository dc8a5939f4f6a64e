"""The outbox as PostgreSQL is told of it: the same table and words for the clients of all languages."""
# ruff: noqa: S608 - a table's name is checked before it becomes part of a statement.

from __future__ import annotations

import re

from .errors import ContractError

# The longest name that PostgreSQL does not cut off.
LONGEST_NAME = 63
_NAME = re.compile(rf"[A-Za-z0-9_]{{1,{LONGEST_NAME}}}(\.[A-Za-z0-9_]{{1,{LONGEST_NAME}}})?")

# Whether this transaction's relay is the only one at work: several at once would emit out of order. Parameter: what
# relays listen to.
LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('cachebus outbox ' || %s::text, 0))"


class Table:
    """A table's name, quoted, and what is done with it."""

    def __init__(self, name: str) -> None:
        """``table`` or ``schema.table``: letters, digits and ``_``; else ``ContractError``."""
        if not _NAME.fullmatch(name):
            raise ContractError("an outbox is called table or schema.table, of letters, digits and _")
        parts = name.split(".")
        self._quoted = ".".join(f'"{part}"' for part in parts)
        # Without its schema.
        self._name = parts[-1]
        # What relays listen to.
        self.wakes = name[:LONGEST_NAME]

    def ddl(self) -> str:
        index = f"{self._name}_waiting"[-LONGEST_NAME:]
        return f"""CREATE TABLE IF NOT EXISTS {self._quoted} (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL UNIQUE,
    channel text NOT NULL,
    envelope text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The kind of the error for which it was set aside.
    refused text
);
CREATE INDEX IF NOT EXISTS "{index}" ON {self._quoted} (position) WHERE refused IS NULL;
"""

    def add(self) -> str:
        """Parameters: id, channel, envelope, and what relays listen to. A row where it was added."""
        return f"""WITH added AS (
            INSERT INTO {self._quoted} (event_id, channel, envelope) VALUES (%s, %s, %s)
            ON CONFLICT (event_id) DO NOTHING RETURNING true
        )
        SELECT pg_notify(%s, '') FROM added"""

    def begin(self, idle_ms: int) -> str:
        """What a relay's session begins with: one that stops in the middle of a transaction is ended after
        ``idle_ms``."""
        return f'SET idle_in_transaction_session_timeout = {idle_ms}; LISTEN "{self.wakes}"'

    def next(self) -> str:
        """Parameter: how many. Rows that somebody else changes just now are left to him."""
        return f"""SELECT position, channel, envelope FROM {self._quoted} WHERE refused IS NULL
        ORDER BY position LIMIT %s FOR UPDATE SKIP LOCKED"""

    def remove(self) -> str:
        """Parameter: positions."""
        return f"DELETE FROM {self._quoted} WHERE position = ANY(%s::bigint[])"

    def refuse(self) -> str:
        """Parameters: kind of the error, position."""
        return f"UPDATE {self._quoted} SET refused = %s WHERE position = %s"

    def retry(self) -> str:
        return f"UPDATE {self._quoted} SET refused = NULL WHERE refused IS NOT NULL"

    def backlog(self) -> str:
        """Waiting, refused, age in seconds."""
        return f"""SELECT count(*) FILTER (WHERE refused IS NULL), count(*) FILTER (WHERE refused IS NOT NULL),
        coalesce(extract(epoch FROM clock_timestamp() - min(added_at) FILTER (WHERE refused IS NULL)), 0)::float8
        FROM {self._quoted}"""

"""Rows of PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


async def rows(
    database: psycopg.AsyncConnection[Any], statement: str, words: Sequence[Any] = ()
) -> list[tuple[Any, ...]]:
    """What a statement returns, whatever the application makes of rows."""
    from psycopg.rows import tuple_row

    async with database.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(statement, words)
        return await cursor.fetchall()

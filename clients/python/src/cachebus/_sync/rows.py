"""Rows of PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg


def rows(database: psycopg.Connection[Any], statement: str, words: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """What a statement returns, whatever the application makes of rows."""
    from psycopg.rows import tuple_row

    with database.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(statement, words)
        return cursor.fetchall()

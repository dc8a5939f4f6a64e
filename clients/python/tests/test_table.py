"""The outbox as PostgreSQL is told of it."""

from __future__ import annotations

import json

import pytest

from cachebus import ContractError, table
from cachebus.table import Table
from engines import LIBRARY

VECTORS = json.loads((LIBRARY.parent / "vectors" / "outbox.json").read_text())


def test_tables_and_turns_are_those_of_all_clients() -> None:
    assert VECTORS["lock"].replace("{}", "%s") == table.LOCK
    assert VECTORS["tables"]
    for named in VECTORS["tables"]:
        assert Table(named["name"]).ddl() == named["ddl"]
        assert Table(named["name"]).wakes == named["listens"]


def test_names_are_quoted() -> None:
    tasks = Table("tasks.Outbox_2")
    assert 'INSERT INTO "tasks"."Outbox_2" ' in tasks.add()
    assert tasks.begin(30_000).endswith('= 30000; LISTEN "tasks.Outbox_2"')


@pytest.mark.parametrize("name", VECTORS["invalid"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ContractError):
        Table(name)

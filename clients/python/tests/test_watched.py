"""A binding that changes underneath."""

from __future__ import annotations

import json
from pathlib import Path

import contracts
from cachebus import Folder
from cachebus.watched import Watched
from test_binding import ENTRIES, write


def watched(folder: Path) -> Watched:
    return Watched(Folder(write(folder, ENTRIES)), every=0)


def test_connections_are_kept_where_only_the_contract_changes(tmp_path: Path) -> None:
    source = watched(tmp_path)
    document = contracts.document()
    document["cache"]["enabled"] = False
    (tmp_path / "contract.json").write_text(json.dumps(document))
    assert not source.current().contract.cache_enabled
    assert source.generation == 0


def test_connections_are_made_anew_with_a_password(tmp_path: Path) -> None:
    source = watched(tmp_path)
    (tmp_path / "password").write_text("another")
    assert source.current().password == "another"
    assert source.generation == 1
    assert source.current().password == "another"
    assert source.generation == 1


def test_what_cannot_be_read_yet_is_not_taken(tmp_path: Path) -> None:
    source = watched(tmp_path)
    (tmp_path / "contract.json").write_text("{")
    (tmp_path / "password").write_text("another")
    assert source.current().password == "p4ss"
    (tmp_path / "contract.json").write_text(contracts.text())
    assert source.current().password == "another"


def test_the_source_is_asked_now_and_then(tmp_path: Path) -> None:
    source = Watched(Folder(write(tmp_path, ENTRIES)), every=3600)
    (tmp_path / "password").write_text("another")
    assert source.current().password == "p4ss"
    assert source.current(now=True).password == "another"

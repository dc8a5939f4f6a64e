"""Bindings and contracts as files, variables and URLs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import contracts
from authority import PEM
from cachebus import BindingError, Contract, ContractError, Environment, Folder, Url, discover

ENTRIES = {
    "type": "servicebinding.io/redis",
    "provider": "cachebus",
    "host": "primary.example",
    "port": "6380",
    "username": "worker",
    "password": "p4ss",
    "uri": "rediss://worker:p4ss@primary.example:6380/0",
    "tls": "true",
    "ca.crt": PEM,
    "sentinels": "s0.example:26379,s1.example:26380",
    "sentinel-port": "26379",
    "master-name": "platform-uid",
    "contract.json": contracts.text(),
}


def write(folder: Path, entries: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in entries.items():
        (folder / name).write_text(text)
    return folder


def test_a_folder(tmp_path: Path) -> None:
    binding = Folder(write(tmp_path, ENTRIES)).load()
    assert binding.address == ("primary.example", 6380)
    assert (binding.username, binding.password, binding.tls) == ("worker", "p4ss", True)
    assert binding.ca_pem == PEM.strip("\n")
    assert binding.sentinels == (("s0.example", 26379), ("s1.example", 26380))
    assert binding.master_name == "platform-uid"
    assert binding.contract.service == "worker"


def test_no_secret_is_shown(tmp_path: Path) -> None:
    binding = Folder(write(tmp_path, ENTRIES)).load()
    assert "p4ss" not in repr(binding)
    assert "BEGIN" not in repr(binding)


def test_variables() -> None:
    environ = {f"CACHEBUS_{re.sub('[.-]', '_', name).upper()}": text for name, text in ENTRIES.items()}
    assert Environment(environ).load() == Environment(environ).load()
    assert Environment(environ).load().address == ("primary.example", 6380)


def test_a_url() -> None:
    binding = Url("rediss://wor%40ker:p%3Ass@h.example", contracts.text(), ca_pem=PEM).load()
    assert binding.address == ("h.example", 6379)
    assert (binding.username, binding.password) == ("wor@ker", "p:ss")
    assert (binding.tls, binding.ca_pem, binding.sentinels) == (True, PEM, ())


@pytest.mark.parametrize("url", ["http://x", "redis://", "redis://x:port", "x"])
def test_no_url(url: str) -> None:
    with pytest.raises(BindingError):
        Url(url, contracts.text()).load()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("host", None),
        ("contract.json", None),
        ("port", "many"),
        ("ca.crt", ""),
        ("ca.crt", PEM[:100]),
        ("contract.json", "{"),
        ("contract.json", "[]"),
    ],
)
def test_a_broken_folder(tmp_path: Path, name: str, text: str | None) -> None:
    entries = {key: value for key, value in ENTRIES.items() if key not in (name, "uri")}
    if text is not None:
        entries[name] = text
    with pytest.raises(BindingError) as raised:
        Folder(write(tmp_path, entries)).load()
    assert "p4ss" not in str(raised.value)


def test_is_found(tmp_path: Path) -> None:
    ours = write(tmp_path / "root" / "bus", ENTRIES)
    write(tmp_path / "root" / "database", {"provider": "postgresql"})
    root = {"SERVICE_BINDING_ROOT": str(tmp_path / "root")}
    found = discover(root)
    assert isinstance(found, Folder)
    assert found.path == ours
    explicit = discover({**root, "CACHEBUS_BINDING": str(tmp_path)})
    assert isinstance(explicit, Folder)
    assert explicit.path == tmp_path
    assert isinstance(discover({"CACHEBUS_URI": "redis://x"}), Environment)
    write(tmp_path / "root" / "bus2", ENTRIES)
    with pytest.raises(BindingError):
        discover(root)
    with pytest.raises(BindingError):
        discover({})


def test_a_folder_that_changes(tmp_path: Path) -> None:
    source = Folder(write(tmp_path, ENTRIES))
    before = source.fingerprint()
    assert source.fingerprint() == before
    (tmp_path / "password").write_text("other")
    assert source.fingerprint() != before


def contract(change: Any) -> Contract:
    document = contracts.document()
    change(document)
    return Contract.parse(json.dumps(document))


def test_a_contract() -> None:
    parsed = Contract.parse(contracts.text())
    agent = parsed.keyspace("agent")
    assert (agent.template.text, agent.ttl_ms, agent.lock, agent.writable) == ("agent:{id}", 3_600_000, False, True)
    assert not parsed.keyspace("metrics").writable
    assert parsed.keyspace("lock").lock
    task = parsed.published("task:created")
    assert (task.durable, task.history, task.retention_ms) == (True, 100, 86_400_000)
    assert [spec.channel for spec in parsed.subscribed("task")] == ["task:created", "task:completed"]
    assert parsed.confirm is None
    for ask in (parsed.keyspace, parsed.published, parsed.subscribed):
        with pytest.raises(ContractError):
            ask("none")


def test_a_contract_with_confirmation() -> None:
    confirm: dict[str, Any] = {"command": "WAITAOF", "local": 1, "replicas": 2, "timeoutMs": 1000}
    parsed = contract(lambda document: document["durability"].update(mode="quorum", confirm=confirm))
    assert parsed.confirm is not None
    assert parsed.confirm.command == ("WAITAOF", 1, 2, 1000)
    confirm = {"command": "WAIT", "replicas": 1, "timeoutMs": 500}
    parsed = contract(lambda document: document["durability"].update(mode="quorum", confirm=confirm))
    assert parsed.confirm is not None
    assert parsed.confirm.command == ("WAIT", 1, 500)


def test_contracts_of_other_versions() -> None:
    with pytest.raises(BindingError):
        contract(lambda document: document.update(version=2))
    contract(lambda document: document.update(more="fields are left alone"))

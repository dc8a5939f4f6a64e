"""contract.json of the service of the tests, as the operator writes it."""

from __future__ import annotations

import json
from typing import Any

import rights


def keyspace(name: str, key: str, ttl: int, access: str = "write", kind: str = "Cache") -> dict[str, Any]:
    return {"name": name, "key": key, "ttlSeconds": ttl, "kind": kind, "access": access}


def channel(name: str, *, consumer: bool, history: int = 100) -> dict[str, Any]:
    durable = name in rights.DURABLE
    entry: dict[str, Any] = {
        "channel": name,
        "durable": durable,
        "history": history,
        "retentionSeconds": 86400,
        "historyKey": f"events:{name}:history",
    }
    if durable:
        entry["streamKey"] = f"events:{name}:stream"
        if consumer:
            entry["deadLetterKey"] = f"events:{name}:dead:{rights.SERVICE}"
    return entry


def document(*, history: int = 100) -> dict[str, Any]:
    """A fresh document, for tests to change."""
    return {
        "version": 1,
        "service": rights.SERVICE,
        "durability": {"mode": "async"},
        "cache": {
            "enabled": True,
            "keyspaces": [
                keyspace("agent", "agent:{id}", 3600),
                keyspace("agent_list", "agents:all", 300),
                keyspace("metrics", "metrics:{service}:{name}", 300, access="read"),
                keyspace("lock", "lock:{resource}", 30, kind="Lock"),
            ],
        },
        "events": {
            "enabled": True,
            "publish": [channel(name, consumer=False, history=history) for name in rights.PUBLISHED],
            "subscribe": [channel(name, consumer=True, history=history) for name in rights.PUBLISHED],
        },
    }


def text(**changes: Any) -> str:
    return json.dumps(document(**changes))

"""``cachebus_invalidate``: keys and event in one step."""

from __future__ import annotations

import json

import pytest
import redis

import rights

CHANNEL = "agent:updated"
KEYS = ["agent:1", "agent:2", "agent:none"]


def envelope() -> str:
    fields = {
        "event_id": "evt_1",
        "timestamp": "2026-01-02T03:04:05.678Z",
        "channel": CHANNEL,
        "service": "worker",
        "data": {},
        "metadata": {},
    }
    return json.dumps(fields)


def invalidate(client: redis.Redis, *keys: str, window: int = 300_000) -> list[object]:
    reply = client.fcall("cachebus_invalidate", len(keys), *keys, CHANNEL, envelope(), 100, 0, window)
    assert isinstance(reply, list)
    return reply


@pytest.fixture(autouse=True)
def cached(admin: redis.Redis) -> None:
    admin.mset({"agent:1": "x", "agent:2": "y", "session:1": "z"})


def test_removes_and_publishes(worker: redis.Redis, admin: redis.Redis) -> None:
    assert invalidate(worker, *KEYS) == [2, "emitted", "", 0]
    assert admin.exists(*KEYS) == 0
    assert admin.lrange(f"events:{CHANNEL}:history", 0, -1) == [envelope()]


def test_a_repetition_removes_again_and_publishes_once(worker: redis.Redis, admin: redis.Redis) -> None:
    invalidate(worker, *KEYS)
    admin.set("agent:1", "again")
    assert invalidate(worker, *KEYS) == [1, "duplicate", "", 0]
    assert admin.llen(f"events:{CHANNEL}:history") == 1


def test_takes_at_most_a_thousand_keys(worker: redis.Redis) -> None:
    keys = [f"agent:{number}" for number in range(1000)]
    assert invalidate(worker, *keys)[0] == 2
    with pytest.raises(redis.ResponseError, match="^CBINVALID"):
        invalidate(worker, *keys, "agent:1000")
    with pytest.raises(redis.ResponseError, match="^CBINVALID"):
        invalidate(worker)


@pytest.mark.parametrize(
    ("right", "missing"),
    [
        ("write", "+fcall"),
        ("write", "+unlink"),
        ("write", "~agent:?*"),
        ("publish", "+publish"),
        ("publish", "+lpush"),
        ("publish", "+zadd"),
        ("publish", "&agent:updated"),
        ("publish", "~events:agent:updated:history"),
        ("publish", "~events:agent:updated:ids"),
    ],
)
def test_a_missing_right_changes_nothing(worker: redis.Redis, admin: redis.Redis, right: str, missing: str) -> None:
    granted = {name: rights.granted()[name] for name in ("write", "publish")}
    granted[right] = granted[right].without(missing)
    rights.grant(admin, granted)
    with pytest.raises(redis.ResponseError, match="CBDENIED|permission"):
        invalidate(worker, *KEYS)
    assert sorted(admin.keys()) == ["agent:1", "agent:2", "session:1"]


@pytest.mark.parametrize("key", [f"events:{CHANNEL}:ids", f"events:{CHANNEL}:history"])
def test_an_event_that_fails_removes_nothing(worker: redis.Redis, admin: redis.Redis, key: str) -> None:
    admin.set(key, "x")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        invalidate(worker, *KEYS)
    assert sorted(admin.keys()) == ["agent:1", "agent:2", key, "session:1"]


def test_keys_of_others_stay(worker: redis.Redis, admin: redis.Redis) -> None:
    with pytest.raises(redis.ResponseError, match="permission"):
        invalidate(worker, "agent:1", "session:1")
    assert sorted(admin.keys()) == ["agent:1", "agent:2", "session:1"]

"""``cachebus_emit``: one step, once for each id, and nothing where anything is denied."""

from __future__ import annotations

import itertools
import json
import time

import pytest
import redis

import rights
from engines import Server, eventually

CHANNEL = "task:created"
IDS, HISTORY, STREAM = (f"events:{CHANNEL}:{what}" for what in ("ids", "history", "stream"))
WINDOW = 300_000


def envelope(event_id: str = "evt_1", **changed: object) -> str:
    fields = {
        "event_id": event_id,
        "timestamp": "2026-01-02T03:04:05.678Z",
        "channel": CHANNEL,
        "service": "worker",
        "data": {"id": 7},
        "metadata": {"correlation_id": None, "user_id": None, "version": "1.0"},
    }
    return json.dumps({**fields, **changed}, separators=(",", ":"))


def emit(
    client: redis.Redis,
    text: str | None = None,
    *,
    keys: tuple[str, ...] = (IDS, HISTORY, STREAM),
    channel: str = CHANNEL,
    history: int = 100,
    durable: int = 1,
    window: int = WINDOW,
) -> list[object]:
    reply = client.fcall("cachebus_emit", len(keys), *keys, channel, text or envelope(), history, durable, window)
    assert isinstance(reply, list)
    return reply


def test_publishes_and_keeps(worker: redis.Redis, admin: redis.Redis) -> None:
    listener = worker.pubsub(ignore_subscribe_messages=True)
    listener.subscribe(CHANNEL)
    listener.get_message(timeout=5)
    status, stream_id, receivers = emit(worker)
    assert (status, receivers) == ("emitted", 1)
    message = listener.get_message(timeout=5)
    assert message is not None
    assert message["data"] == envelope()
    assert admin.lrange(HISTORY, 0, -1) == [envelope()]
    fields = {"event_id": "evt_1", "envelope": envelope()}
    assert admin.xrange(STREAM) == [(stream_id, fields)]


def test_an_id_counts_once(worker: redis.Redis, admin: redis.Redis) -> None:
    emit(worker)
    before = snapshot(admin)
    assert emit(worker) == ["duplicate", "", 0]
    assert snapshot(admin) == before


def test_an_id_is_forgotten_after_its_window(worker: redis.Redis, admin: redis.Redis) -> None:
    admin.zadd(IDS, {"evt_1": time.time() * 1000 - WINDOW - 1})
    emit(worker, envelope("evt_2"))
    assert admin.zrange(IDS, 0, -1) == ["evt_2"]
    assert emit(worker)[0] == "emitted"


def test_ids_are_forgotten_while_others_come(worker: redis.Redis, admin: redis.Redis) -> None:
    numbers = itertools.count(1)

    def gone() -> bool:
        emit(worker, envelope(f"evt_{next(numbers)}"), window=1000)
        return admin.zscore(IDS, "evt_1") is None

    eventually(gone)


def test_many_ids_are_forgotten_by_one_call_after_the_other(worker: redis.Redis, admin: redis.Redis) -> None:
    admin.zadd(IDS, {f"evt_old_{number}": number for number in range(300)})
    for number in range(3):
        emit(worker, envelope(f"evt_{number}"))
    assert sorted(admin.zrange(IDS, 0, -1)) == ["evt_0", "evt_1", "evt_2"]


def test_forgets_a_bounded_number_of_ids_at_once(worker: redis.Redis, admin: redis.Redis) -> None:
    admin.zadd(IDS, {f"evt_old_{number}": number for number in range(1000)})
    emit(worker)
    assert admin.zcard(IDS) == 1000 - 128 + 1


def test_without_a_window_no_id_is_kept(worker: redis.Redis, admin: redis.Redis) -> None:
    for _ in range(2):
        assert emit(worker, keys=(HISTORY, STREAM), window=0)[0] == "emitted"
    assert admin.exists(IDS) == 0
    assert admin.xlen(STREAM) == 2


def test_keeps_the_newest(worker: redis.Redis, admin: redis.Redis) -> None:
    for number in range(5):
        emit(worker, envelope(f"evt_{number}"), history=3)
    kept = [json.loads(text)["event_id"] for text in admin.lrange(HISTORY, 0, -1)]
    assert kept == ["evt_4", "evt_3", "evt_2"]


def test_plain_channel(worker: redis.Redis, admin: redis.Redis) -> None:
    channel = "agent:updated"
    keys = (f"events:{channel}:ids", f"events:{channel}:history")
    reply = emit(worker, envelope(channel=channel), keys=keys, channel=channel, durable=0)
    assert reply == ["emitted", "", 0]
    assert sorted(admin.keys()) == sorted(keys)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"text": "{"}, "JSON object"),
        ({"text": "7"}, "JSON object"),
        ({"text": envelope(event_id="1")}, "event_id is not"),
        ({"text": envelope(event_id="evt_" + "x" * 65)}, "event_id is not"),
        ({"text": envelope(event_id="evt_a b")}, "event_id is not"),
        ({"text": envelope(data=None)}, "has no data"),
        ({"text": envelope(metadata="x")}, "has no metadata"),
        ({"text": envelope(service=1)}, "has no service"),
        ({"text": envelope(timestamp=None)}, "has no timestamp"),
        ({"text": envelope(channel="task:completed")}, "another channel"),
        ({"text": envelope(data={"x": "y" * 1_048_576})}, "longer than"),
        ({"keys": (HISTORY, IDS, STREAM)}, "keys are not"),
        ({"keys": (IDS, HISTORY)}, "keys are not"),
        ({"channel": "task"}, "channel is not"),
        ({"history": 10_001}, "history is not"),
        ({"history": -1}, "history is not"),
        ({"durable": 2}, "durable is not"),
        ({"window": 86_400_001}, "window is not"),
    ],
)
def test_refuses_what_is_no_event(
    worker: redis.Redis, admin: redis.Redis, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(redis.ResponseError, match=f"^CBINVALID .*{says}"):
        emit(worker, **changes)  # type: ignore[arg-type]
    assert admin.dbsize() == 0


NEEDED = [
    # `type` is for older libraries.
    *(f"+{command}" for command in rights.PUBLISH + rights.IDEMPOTENT if command != "type"),
    *(f"~{key}" for key in (IDS, HISTORY, STREAM)),
    f"&{CHANNEL}",
]


@pytest.mark.parametrize("missing", NEEDED)
def test_a_missing_right_leaves_nothing(server: Server, worker: redis.Redis, admin: redis.Redis, missing: str) -> None:
    granted = rights.granted()
    granted["publish"] = granted["publish"].without(missing)
    # What other rights of the service grant as well.
    granted = {"publish": granted["publish"]}
    rights.grant(admin, granted)
    with pytest.raises(redis.ResponseError, match="^(CBDENIED|No permission|User )|permission"):
        emit(worker)
    assert admin.dbsize() == 0


LIVE = {"keys": (IDS, HISTORY), "durable": 0}


@pytest.mark.parametrize("missing", [right for right in NEEDED if right not in ("+xadd", f"~{STREAM}")])
def test_a_missing_right_of_a_live_event_leaves_nothing(
    server: Server, worker: redis.Redis, admin: redis.Redis, missing: str
) -> None:
    rights.grant(admin, {"publish": rights.granted()["publish"].without(missing)})
    with pytest.raises(redis.ResponseError, match="^CBDENIED|permission"):
        emit(worker, **LIVE)  # type: ignore[arg-type]
    assert admin.dbsize() == 0


@pytest.mark.parametrize("missing", ["+lpush", "+xadd", "+zscore", "+zcount", "+time"])
def test_a_missing_right_is_named(worker: redis.Redis, admin: redis.Redis, missing: str) -> None:
    rights.grant(
        admin, {"publish": rights.granted()["publish"].without(missing)}, "-time" if missing == "+time" else "+time"
    )
    with pytest.raises(redis.ResponseError, match=f"^CBDENIED {missing[1:].upper()}"):
        emit(worker)
    assert admin.dbsize() == 0


def test_a_right_that_is_taken_away_is_missed_at_once(worker: redis.Redis, admin: redis.Redis) -> None:
    for number in range(3):
        emit(worker, envelope(f"evt_{number}"), history=3)
    before = snapshot(admin)
    for missing in NEEDED:
        if missing in ("+zcount", "+zremrangebyrank"):
            # Only who looks for expired ids needs them.
            continue
        rights.grant(admin, {"publish": rights.granted()["publish"].without(missing)})
        with pytest.raises(redis.ResponseError, match="CBDENIED|permission"):
            emit(worker, envelope("evt_3"), history=3)
        assert snapshot(admin) == before


def test_the_rights_suffice_alone(worker: redis.Redis, admin: redis.Redis) -> None:
    rights.grant(admin, {"publish": rights.granted()["publish"]})
    assert emit(worker)[0] == "emitted"


@pytest.mark.parametrize(
    "changed",
    [
        {"data": {"open": "{", "close": "}}", "quote": '"', "backslash": "\\"}},
        {"data": []},
        {"service": 'the "worker"'},
        {"timestamp": "\\"},
        {"metadata": {"note": "}"}},
        {"more": {"x": 1}},
    ],
)
def test_takes_whatever_texts_an_envelope_holds(
    worker: redis.Redis, admin: redis.Redis, changed: dict[str, object]
) -> None:
    for text in (envelope(**changed), json.dumps(dict(reversed(json.loads(envelope("evt_2", **changed)).items())))):
        assert emit(worker, text)[0] == "emitted"
    assert admin.zrange(IDS, 0, -1) == ["evt_1", "evt_2"]


def test_arguments_of_a_channel_may_change(worker: redis.Redis, admin: redis.Redis) -> None:
    emit(worker, history=2)
    emit(worker, envelope("evt_2"), keys=(IDS, STREAM), history=0)
    with pytest.raises(redis.ResponseError, match="keys are not"):
        emit(worker, envelope("evt_3"), keys=(IDS, STREAM), history=2)
    emit(worker, envelope("evt_3"), history=2)
    emit(worker, envelope("evt_4"), keys=(IDS, HISTORY), history=1, durable=0)
    assert admin.lrange(HISTORY, 0, -1) == [envelope("evt_4")]
    assert admin.xlen(STREAM) == 3


def test_more_channels_than_are_remembered(admin: redis.Redis) -> None:
    for _ in range(2):
        for number in range(1001):
            channel = f"task:a{number}"
            keys = (f"events:{channel}:history",)
            emit(admin, envelope(channel=channel), keys=keys, channel=channel, durable=0, window=0, history=1)
    assert admin.dbsize() == 1001


@pytest.mark.parametrize("key", [IDS, HISTORY, STREAM])
def test_a_key_of_another_type_leaves_nothing(worker: redis.Redis, admin: redis.Redis, key: str) -> None:
    admin.set(key, "x")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        emit(worker)
    assert admin.keys() == [key]


@pytest.mark.parametrize("key", [IDS, HISTORY])
def test_a_live_events_key_of_another_type_leaves_nothing(worker: redis.Redis, admin: redis.Redis, key: str) -> None:
    admin.set(key, "x")
    with pytest.raises(redis.ResponseError, match="^WRONGTYPE "):
        emit(worker, **LIVE)  # type: ignore[arg-type]
    assert admin.keys() == [key]


def test_exhausted_stream_ids_leave_nothing(worker: redis.Redis, admin: redis.Redis) -> None:
    last = "18446744073709551615"
    admin.xadd(STREAM, {"x": "y"}, id=f"{last}-{last}")
    with pytest.raises(redis.ResponseError):
        emit(worker)
    assert admin.keys() == [STREAM]
    admin.rpush(HISTORY, "newest", "oldest")
    with pytest.raises(redis.ResponseError):
        emit(worker, history=2)
    assert admin.lrange(HISTORY, 0, -1) == ["newest", "oldest"]


def test_full_memory_leaves_nothing(worker: redis.Redis, admin: redis.Redis) -> None:
    admin.config_set("maxmemory-policy", "noeviction")
    admin.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.ResponseError, match="maxmemory|OOM"):
            emit(worker)
    finally:
        admin.config_set("maxmemory", 0)
    assert admin.dbsize() == 0


def snapshot(admin: redis.Redis) -> list[object]:
    return [admin.zrange(IDS, 0, -1), admin.lrange(HISTORY, 0, -1), admin.xrange(STREAM)]

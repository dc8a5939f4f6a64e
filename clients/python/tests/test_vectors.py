"""functions/vectors: what each client and each language has in common, byte for byte."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any

import pytest
import redis

from cachebus import Event, KeyInvalid, ValueInvalid, codec, fcall
from cachebus._async.claims import resource
from cachebus._async.near import key_of
from cachebus.contract import ChannelSpec
from cachebus.envelope import timestamp
from cachebus.freshness import Freshness
from cachebus.keys import Template
from engines import LIBRARY

VECTORS = LIBRARY.parent / "vectors"


def cases(file: str, name: str) -> list[Any]:
    listed = json.loads((VECTORS / f"{file}.json").read_text())[name]
    assert listed
    return [pytest.param(case, id=f"{name}{number}") for number, case in enumerate(listed)]


@pytest.mark.parametrize("case", cases("envelopes", "envelopes"))
def test_envelopes(case: Any) -> None:
    event = Event(**case["event"])
    assert event.encode() == case["envelope"]
    assert Event.decode(case["envelope"]) == event


@pytest.mark.parametrize("case", cases("envelopes", "read"))
def test_envelopes_of_others(case: Any) -> None:
    assert Event.decode(case["envelope"]) == Event(**case["event"])


@pytest.mark.parametrize("case", cases("envelopes", "invalid"))
def test_no_envelopes(case: Any) -> None:
    with pytest.raises(ValueInvalid):
        Event.decode(case["envelope"])


@pytest.mark.parametrize("case", cases("envelopes", "timestamps"))
def test_timestamps(case: Any) -> None:
    moment = datetime.fromtimestamp(case["unix_ms"] / 1000, timezone.utc)
    assert timestamp(moment) == case["text"]


@pytest.mark.parametrize("case", cases("keys", "keys"))
def test_keys(case: Any) -> None:
    template = Template(case["template"])
    assert template.key(case["parts"]) == case["key"]
    assert template.matches(case["key"])
    # Numbers come back as text.
    assert template.key(template.parts(case["key"])) == case["key"]


@pytest.mark.parametrize("case", cases("keys", "patterns"))
def test_patterns(case: Any) -> None:
    assert Template(case["template"]).pattern(case["parts"]) == case["pattern"]


@pytest.mark.parametrize("case", cases("keys", "invalid"))
def test_no_keys(case: Any) -> None:
    with pytest.raises(KeyInvalid):
        Template(case["template"]).key(case["parts"])


@pytest.mark.parametrize("case", cases("keys", "events"))
def test_keys_of_events(case: Any) -> None:
    spec = ChannelSpec(case["channel"], durable=True, history=1, retention_ms=1)
    assert spec.ids_key == case["ids"]
    assert spec.history_key == case["history"]
    assert spec.stream_key == case["stream"]
    assert spec.dead_letter_key(case["service"]) == case["dead"]


@pytest.mark.parametrize("case", cases("values", "values"))
def test_values(case: Any) -> None:
    assert codec.encode(case["value"]).decode() == case["json"]
    assert codec.encode(case["value"], "msgpack").hex() == case["msgpack"]
    for data in (case["json"].encode(), bytes.fromhex(case["msgpack"])):
        value = codec.decode(data)
        assert value == case["value"]
        assert type(value) is type(case["value"])


@pytest.mark.parametrize("case", cases("values", "zlib"))
def test_compressed_values(case: Any) -> None:
    assert codec.decode(bytes.fromhex(case["hex"])) == case["value"]


@pytest.mark.parametrize("case", cases("values", "foreign"))
def test_values_of_others(case: Any) -> None:
    assert codec.decode(case["json"].encode()) == case["value"]


@pytest.mark.parametrize("case", cases("values", "invalid"))
def test_no_values(case: Any) -> None:
    with pytest.raises(ValueInvalid):
        codec.decode(bytes.fromhex(case["hex"]))


def test_compression_is_for_what_gets_shorter() -> None:
    long = "x" * 100
    for form in ("json", "msgpack"):
        data = codec.encode(long, form, compress_above=50)  # type: ignore[arg-type]
        assert data[0] == 2
        assert len(data) < 50
        assert codec.decode(data) == long
        assert codec.encode(long, form, compress_above=500)[0] != 2  # type: ignore[arg-type]
    assert codec.encode("abc", compress_above=1) == b'"abc"'


def test_what_grows_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = codec.encode("x" * 10_000, compress_above=1)
    monkeypatch.setattr(codec, "MAX_DECODED", 5_000)
    with pytest.raises(ValueInvalid):
        codec.decode(data)


@pytest.mark.parametrize("case", cases("caching", "ages"))
def test_ages(case: Any) -> None:
    left = None if case["left_ms"] is None else case["left_ms"] / 1000
    freshness = Freshness(case["early"], case["stale_for_ms"] / 1000)
    assert freshness.age(left, case["ttl_ms"] / 1000, case["chance"]).name.lower() == case["age"]


@pytest.mark.parametrize("case", cases("caching", "locks"))
def test_locks_of_loads(case: Any) -> None:
    assert Template(case["template"]).key(resource(case["key"])) == case["lock"]


@pytest.mark.parametrize("case", cases("caching", "events"))
def test_what_events_mean(case: Any) -> None:
    event = Event("agent:updated", "worker", case["data"])
    assert key_of(event, Template(case["template"])) == case["key"]


@pytest.mark.parametrize("case", cases("fcalls", "calls"))
def test_calls(case: Any) -> None:
    if case["call"] in ("emit", "invalidate"):
        spec = ChannelSpec(case["channel"], case["durable"], case["history"], retention_ms=1)
        event = (spec, case["envelope"], case["window_ms"])
        words = fcall.emit(*event) if case["call"] == "emit" else fcall.invalidate(case["keys"], *event)
    elif case["call"] == "lock":
        words = fcall.lock(case["key"], case["token"], case["ttl_ms"], case["epoch"])
    elif case["call"] == "extend":
        words = fcall.extend(case["key"], case["token"], case["ttl_ms"])
    else:
        words = fcall.unlock(case["key"], case["token"])
    assert [str(word) for word in words] == case["words"]


@pytest.mark.parametrize("case", cases("conversations", "conversations"))
def test_conversations(worker: redis.Redis, case: Any) -> None:
    # Replies as they are: the client makes something of some.
    worker.response_callbacks.clear()
    for step in case["steps"]:
        if "error" in step:
            with pytest.raises(redis.ResponseError) as raised:
                worker.execute_command(*step["send"])
            error = raised.value
            code = "NOPERM" if isinstance(error, redis.exceptions.NoPermissionError) else str(error).split(" ")[0]
            assert code == step["error"], step
        else:
            assert fits(worker.execute_command(*step["send"]), step["reply"]), step


def fits(reply: Any, wanted: Any) -> bool:
    if wanted == "$id":
        return bool(re.fullmatch(r"\d+-\d+", reply))
    if wanted == "$int":
        return isinstance(reply, int)
    if isinstance(wanted, list):
        return len(reply) == len(wanted) and all(map(fits, reply, wanted))
    return bool(reply == wanted)

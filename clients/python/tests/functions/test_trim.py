"""``cachebus_trim``: age takes what is done with, number takes what it must. ``cachebus_backlog`` tells of both."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import redis

import rights
from engines import Server

STREAM, LOST = "events:task:created:stream", "events:task:created:lost"
OLD = 1_000


def fill(admin: redis.Redis, number: int) -> list[str]:
    return [admin.xadd(STREAM, {"event_id": f"evt_{i}", "envelope": "{}"}, id=f"{OLD + i}-0") for i in range(number)]


def read(admin: redis.Redis, group: str, number: int) -> list[str]:
    [[_, entries]] = admin.xreadgroup(group, "c", {STREAM: ">"}, count=number)
    return [entry_id for entry_id, _ in entries]


def trim(admin: redis.Redis, retention: int = 60_000, most: int = 0) -> list[object]:
    reply = admin.fcall("cachebus_trim", 2, STREAM, LOST, retention, most)
    assert isinstance(reply, list)
    return reply


def backlog(client: redis.Redis, retention: int = 60_000, most: int = 0) -> list[object]:
    reply = client.execute_command("FCALL_RO", "cachebus_backlog", 2, STREAM, LOST, retention, most)
    assert isinstance(reply, list)
    return reply


def kept(admin: redis.Redis) -> list[str]:
    return [entry_id for entry_id, _ in admin.xrange(STREAM)]


def test_nothing_to_trim(admin: redis.Redis) -> None:
    assert trim(admin) == [0, 0, 0, []]
    assert admin.dbsize() == 0


def test_no_stream_and_an_empty_one_are_told_apart(admin: redis.Redis) -> None:
    assert backlog(admin) == [0, 0, 0, []]
    assert admin.dbsize() == 0
    admin.xgroup_create(STREAM, "g", mkstream=True)
    assert backlog(admin) == [1, 0, 0, [["g", 0, 0, 0, 0]]]


def test_tells_what_trimming_tells_and_whether_it_is_due(admin: redis.Redis) -> None:
    fill(admin, 10)
    new = admin.xadd(STREAM, {"event_id": "evt_new", "envelope": "{}"})
    for group in ("done", "slow"):
        admin.xgroup_create(STREAM, group, id="0")
    admin.xack(STREAM, "done", *read(admin, "done", 11))
    got = read(admin, "slow", 7)
    admin.xack(STREAM, "slow", *got[:4])
    admin.hset(LOST, "slow", 3)
    exists, due, length, groups = backlog(admin)
    assert (exists, due, length) == (1, 1, 11)
    assert isinstance(groups, list)
    reports = {group[0]: group[1:] for group in groups}
    assert reports["done"] == [0, 0, 0, 0]
    pending, lag, age, lost = reports["slow"]
    assert (pending, lag, lost) == (3, 4, 3)
    assert age > 60_000
    # It is exact: what is left is what somebody waits for.
    removed, dropped, length, _ = trim(admin)
    assert (removed, dropped, length) == (4, 0, 7)
    assert kept(admin)[0] == got[4]
    assert backlog(admin)[:3] == [1, 0, 7]
    assert backlog(admin, most=7)[1] == 0
    assert backlog(admin, most=6)[1] == 1
    admin.xack(STREAM, "slow", *got[4:], *read(admin, "slow", 4))
    assert backlog(admin)[1] == 1
    trim(admin)
    assert kept(admin) == [new]
    assert backlog(admin)[:2] == [1, 0]


def test_trims_many_in_bounded_steps_and_then_exactly(admin: redis.Redis) -> None:
    many = admin.pipeline(transaction=False)
    for i in range(12_345):
        many.xadd(STREAM, {"event_id": "e", "envelope": "{}"}, id=f"{OLD + i}-0")
    many.execute()
    steps = []
    while backlog(admin)[1] == 1:
        steps.append(trim(admin)[0])
    assert sum(steps) == 12_345
    assert len(steps) == 2
    assert max(steps) <= 10_000
    # At rest nothing is written.
    offset = admin.info("replication")["master_repl_offset"]
    trim(admin)
    assert admin.info("replication")["master_repl_offset"] == offset


def test_a_consumer_that_is_gone_is_due(admin: redis.Redis) -> None:
    admin.xgroup_create(STREAM, "g", id="0", mkstream=True)
    admin.xgroup_createconsumer(STREAM, "g", "gone")
    assert backlog(admin)[1] == 0
    while admin.xinfo_consumers(STREAM, "g")[0]["idle"] <= 1:
        pass
    assert backlog(admin, retention=1)[1] == 1
    trim(admin, retention=1)
    assert backlog(admin, retention=1)[1] == 0


def test_age_alone_where_nobody_waits(admin: redis.Redis) -> None:
    fill(admin, 5)
    new = admin.xadd(STREAM, {"event_id": "evt_new", "envelope": "{}"})
    assert trim(admin) == [5, 0, 1, []]
    assert kept(admin) == [new]


@pytest.mark.parametrize(("retention", "most"), [(60_000, 0), (10**15, 2)])
def test_makes_room_in_full_memory(admin: redis.Redis, retention: int, most: int) -> None:
    fill(admin, 5)
    admin.xgroup_create(STREAM, "done", id="$")
    admin.xgroup_create(STREAM, "slow", id=f"{OLD + 4}-0" if most == 0 else "0")
    admin.config_set("maxmemory", 1)
    try:
        with pytest.raises(redis.OutOfMemoryError):
            admin.set("k", "v")
        removed, dropped, _, _ = trim(admin, retention, most)
    finally:
        admin.config_set("maxmemory", 0)
    assert (removed, dropped) == ((5, 0) if most == 0 else (0, 3))


def test_keeps_what_a_group_has_not_read(admin: redis.Redis) -> None:
    ids = fill(admin, 5)
    admin.xgroup_create(STREAM, "slow", id="0")
    admin.xgroup_create(STREAM, "fast", id="0")
    admin.xack(STREAM, "fast", *read(admin, "fast", 5))
    admin.xack(STREAM, "slow", *read(admin, "slow", 2))
    removed, dropped, length, groups = trim(admin)
    assert (removed, dropped, length) == (2, 0, 3)
    assert kept(admin) == ids[2:]
    assert isinstance(groups, list)
    reports = {group[0]: group[1:] for group in groups}
    assert reports["fast"] == [0, 0, 0, 0]
    pending, lag, age, lost = reports["slow"]
    assert (pending, lag, lost) == (0, 3, 0)
    assert age > 60_000


def test_keeps_what_a_group_has_not_acknowledged(admin: redis.Redis) -> None:
    ids = fill(admin, 5)
    admin.xgroup_create(STREAM, "slow", id="0")
    got = read(admin, "slow", 5)
    admin.xack(STREAM, "slow", got[0], got[1], got[3])
    assert trim(admin)[0] == 2
    assert kept(admin) == ids[2:]
    assert admin.xpending(STREAM, "slow")["pending"] == 2


def test_a_number_drops_and_counts_for_each_group(admin: redis.Redis) -> None:
    ids = fill(admin, 10)
    for group in ("all", "half", "none", "pending"):
        admin.xgroup_create(STREAM, group, id="0")
    admin.xack(STREAM, "all", *read(admin, "all", 10))
    admin.xack(STREAM, "half", *read(admin, "half", 3))
    got = read(admin, "pending", 4)
    admin.xack(STREAM, "pending", got[1])
    removed, dropped, length, groups = trim(admin, most=4)
    assert (removed, dropped, length) == (0, 6, 4)
    assert kept(admin) == ids[6:]
    assert admin.hgetall(LOST) == {"half": "3", "none": "6", "pending": "5"}
    assert isinstance(groups, list)
    assert {group[0]: group[4] for group in groups} == {
        "all": 0,
        "half": 3,
        "none": 6,
        "pending": 5,
    }
    # Dropped entries are claimed by nobody: each is counted once.
    assert admin.xpending(STREAM, "pending")["pending"] == 0


def test_a_number_drops_in_bounded_steps(admin: redis.Redis) -> None:
    fill(admin, 1500)
    admin.xgroup_create(STREAM, "none", id="0")
    assert [trim(admin, most=100)[1] for _ in range(3)] == [1000, 400, 0]
    assert admin.hgetall(LOST) == {"none": "1400"}


def test_forgets_consumers_that_are_gone(admin: redis.Redis) -> None:
    admin.xgroup_create(STREAM, "g", id="0", mkstream=True)
    fill(admin, 1)
    for name in ("gone", "holds"):
        admin.xgroup_createconsumer(STREAM, "g", name)
    admin.xreadgroup("g", "holds", {STREAM: ">"})

    def trimmed() -> set[str]:
        trim(admin, retention=1)
        return {consumer["name"] for consumer in admin.xinfo_consumers(STREAM, "g")}

    trim(admin, retention=60_000)
    assert len(admin.xinfo_consumers(STREAM, "g")) == 2
    while admin.xinfo_consumers(STREAM, "g")[0]["idle"] <= 1:
        pass
    assert trimmed() == {"holds"}


@pytest.mark.parametrize(
    ("keys", "arguments"),
    [
        ((STREAM, "events:task:completed:lost"), (1, 0)),
        (("x", LOST), (1, 0)),
        ((STREAM, LOST), (0, 0)),
        ((STREAM, LOST), (1, "x")),
        ((STREAM, LOST), (1,)),
    ],
)
def test_refuses_wrong_arguments(admin: redis.Redis, keys: tuple[str, ...], arguments: tuple[object, ...]) -> None:
    with pytest.raises(redis.ResponseError, match="^CBINVALID"):
        admin.fcall("cachebus_trim", 2, *keys, *arguments)
    with pytest.raises(redis.ResponseError, match="^CBINVALID"):
        admin.fcall("cachebus_backlog", 2, *keys, *arguments)


@contextlib.contextmanager
def keeper(server: Server, right: rights.Right) -> Iterator[redis.Redis]:
    """A client with this right only."""
    rules = ["reset", "on", ">kept", "-@all", "+time", right.rule()]
    server.admin().execute_command("ACL", "SETUSER", "keeper", *rules)
    client = server.client("keeper", "kept")
    yield client
    client.close()


TRIM = rights.Right(rights.TRIM, ["~events:*:stream", "~events:*:lost"])
BACKLOG = rights.Right(rights.BACKLOG, ["%R~events:*:stream", "%R~events:*:lost"])


def test_these_rights_suffice(server: Server, admin: redis.Redis) -> None:
    fill(admin, 10)
    admin.xgroup_create(STREAM, "none", id="0")
    with keeper(server, TRIM) as client:
        assert trim(client, most=4)[1] == 6
    with keeper(server, BACKLOG) as client:
        assert backlog(client)[:3] == [1, 0, 4]


@pytest.mark.parametrize("missing", [f"+{command}" for command in rights.BACKLOG if command != "time"] + BACKLOG.keys)
def test_looking_needs_every_right(server: Server, admin: redis.Redis, missing: str) -> None:
    fill(admin, 1)
    denied = pytest.raises(redis.ResponseError, match="^CBDENIED|permission")
    with keeper(server, BACKLOG.without(missing)) as client, denied:
        backlog(client)


@pytest.mark.parametrize("missing", [f"+{command}" for command in rights.TRIM if command != "time"] + TRIM.keys)
def test_a_missing_right_leaves_all(server: Server, admin: redis.Redis, missing: str) -> None:
    fill(admin, 10)
    denied = pytest.raises(redis.ResponseError, match="^CBDENIED|permission")
    with keeper(server, TRIM.without(missing)) as client, denied:
        trim(client, most=4)
    assert len(kept(admin)) == 10
    assert admin.exists(LOST) == 0


def test_no_service_may_trim(worker: redis.Redis, admin: redis.Redis) -> None:
    fill(admin, 2)
    with pytest.raises(redis.ResponseError, match="CBDENIED|permission"):
        trim(worker)
    assert len(kept(admin)) == 2

"""``cachebus_lock``, ``cachebus_extend``, ``cachebus_unlock``: only the token's holder, and fencing numbers that
rise."""

from __future__ import annotations

import time

import pytest
import redis

import rights
from engines import eventually

KEY = "lock:orders"
FENCE = KEY + ":fence"
MINE, THEIRS = "a" * 16, "b" * 16


def lock(client: redis.Redis, token: str = MINE, ttl: int = 30_000, epoch: int = 0) -> list[int]:
    reply = client.fcall("cachebus_lock", 2, KEY, FENCE, token, ttl, epoch)
    assert isinstance(reply, list)
    return reply


def extend(client: redis.Redis, token: str, ttl: int = 60_000) -> object:
    return client.fcall("cachebus_extend", 1, KEY, token, ttl)


def unlock(client: redis.Redis, token: str) -> object:
    return client.fcall("cachebus_unlock", 1, KEY, token)


def test_one_holder(worker: redis.Redis, admin: redis.Redis) -> None:
    held, epoch, counter, ttl = lock(worker, epoch=3)
    assert (held, epoch, ttl) == (1, 3, 30_000)
    assert admin.get(KEY) == MINE
    held, epoch, refused_counter, left = lock(worker, THEIRS)
    assert (held, epoch, refused_counter) == (0, 0, 0)
    assert 0 < left <= 30_000
    assert admin.get(FENCE) == f"3 {counter}"


def test_the_same_token_gets_the_same_number(worker: redis.Redis) -> None:
    assert lock(worker) == lock(worker)


def test_the_same_token_lengthens_its_time(worker: redis.Redis, admin: redis.Redis) -> None:
    lock(worker, ttl=1_000)
    lock(worker, ttl=30_000)
    assert admin.pttl(KEY) > 1_000


def test_numbers_rise(worker: redis.Redis, admin: redis.Redis) -> None:
    numbers = []
    for epoch in (1, 1, 2, 0, 5):
        _, *number, _ = lock(worker, epoch=epoch)
        numbers.append(number)
        unlock(worker, MINE)
    assert [number[0] for number in numbers] == [1, 1, 2, 2, 5]
    assert numbers == sorted(numbers)
    assert len({tuple(number) for number in numbers}) == len(numbers)


def test_numbers_rise_where_the_clock_went_back(worker: redis.Redis, admin: redis.Redis) -> None:
    ahead = int(time.time() * 1_000_000) + 3_600_000_000
    admin.set(FENCE, f"4 {ahead}")
    assert lock(worker)[1:3] == [4, ahead + 1]


def test_numbers_rise_where_the_fence_is_lost(worker: redis.Redis, admin: redis.Redis) -> None:
    first = lock(worker)
    unlock(worker, MINE)
    admin.delete(FENCE)
    assert lock(worker, THEIRS)[2] > first[2]


def test_a_lock_that_ran_out_is_free(worker: redis.Redis, admin: redis.Redis) -> None:
    first = lock(worker, ttl=20)
    eventually(lambda: admin.exists(KEY) == 0)
    assert lock(worker, THEIRS)[2] > first[2]
    assert extend(worker, MINE) == 0
    assert unlock(worker, MINE) == 0
    assert admin.get(KEY) == THEIRS


def test_only_the_holder_extends(worker: redis.Redis, admin: redis.Redis) -> None:
    lock(worker, ttl=30_000)
    assert extend(worker, THEIRS) == 0
    assert admin.pttl(KEY) <= 30_000
    assert extend(worker, MINE) == 1
    assert admin.pttl(KEY) > 30_000


def test_only_the_holder_unlocks(worker: redis.Redis, admin: redis.Redis) -> None:
    lock(worker)
    assert unlock(worker, THEIRS) == 0
    assert admin.get(KEY) == MINE
    assert unlock(worker, MINE) == 1
    assert unlock(worker, MINE) == 0


def test_a_stock_clients_lock_is_respected(worker: redis.Redis, admin: redis.Redis) -> None:
    stock = worker.lock(KEY, timeout=10)
    assert stock.acquire(blocking=False)
    assert lock(worker)[0] == 0
    stock.release()
    assert lock(worker)[0] == 1
    assert not worker.lock(KEY, timeout=10).acquire(blocking=False)


@pytest.mark.parametrize(
    ("name", "keys", "arguments"),
    [
        ("lock", [KEY, "lock:other"], [MINE, 1, 0]),
        ("lock", [KEY, FENCE], ["short", 1, 0]),
        ("lock", [KEY, FENCE], [MINE, 0, 0]),
        ("lock", [KEY, FENCE], [MINE, 86_400_001, 0]),
        ("lock", [KEY, FENCE], [MINE, 1, -1]),
        ("lock", [KEY], [MINE, 1, 0]),
        ("extend", [KEY], [MINE, "x"]),
        ("extend", [KEY], ["x y" * 8, 1]),
        ("unlock", [KEY], [""]),
        ("unlock", [KEY, FENCE], [MINE]),
    ],
)
def test_refuses_wrong_arguments(
    worker: redis.Redis, admin: redis.Redis, name: str, keys: list[str], arguments: list[object]
) -> None:
    with pytest.raises(redis.ResponseError, match="^CBINVALID "):
        worker.fcall(f"cachebus_{name}", len(keys), *keys, *arguments)
    assert admin.dbsize() == 0


@pytest.mark.parametrize("missing", ["+fcall", "+get", "+set", "+pttl", "~lock:?*"])
def test_a_missing_right_leaves_nothing(worker: redis.Redis, admin: redis.Redis, missing: str) -> None:
    rights.grant(admin, {"lock": rights.granted()["lock"].without(missing)})
    with pytest.raises(redis.ResponseError, match="CBDENIED|permission"):
        lock(worker)
    assert admin.dbsize() == 0


@pytest.mark.parametrize(("missing", "denied"), [("+del", unlock), ("+pexpire", extend)])
def test_a_missing_right_leaves_the_lock(worker: redis.Redis, admin: redis.Redis, missing: str, denied: object) -> None:
    lock(worker)
    rights.grant(admin, {"lock": rights.granted()["lock"].without(missing)})
    with pytest.raises(redis.ResponseError, match="^CBDENIED"):
        denied(worker, MINE)  # type: ignore[operator]
    assert admin.get(KEY) == MINE

"""The library as a whole: version, names, durability."""

from __future__ import annotations

import re

import pytest
import redis

import rights
from engines import LIBRARY, Server


def test_version(worker: redis.Redis) -> None:
    [version] = re.findall(r"VERSION = '(\d+\.\d+\.\d+)'", LIBRARY.read_text())
    assert worker.fcall("cachebus_version", 0) == version


def test_every_function_is_prefixed(admin: redis.Redis) -> None:
    [library] = admin.function_list("cachebus")
    listing = dict(zip(library[::2], library[1::2], strict=True))
    names = {function[1] for function in listing["functions"]}
    assert names == {
        f"cachebus_{name}" for name in ("backlog", "emit", "extend", "invalidate", "lock", "trim", "unlock", "version")
    }


def test_outlives_flushall_and_a_kill(own_server: Server) -> None:
    own_server.admin().flushall()
    own_server.stop()
    own_server.start()
    assert own_server.admin().fcall("cachebus_version", 0)


def test_no_service_may_publish_as_a_sentinel(worker: redis.Redis, admin: redis.Redis) -> None:
    granted = rights.granted()
    for right in granted.values():
        assert not any("__sentinel__" in channel for channel in right.channels)
    with pytest.raises(redis.ResponseError, match="permission"):
        worker.publish("__sentinel__:hello", "x")

"""Locks that are kept, lost and fenced."""

from __future__ import annotations

import time

import pytest
import redis

from cachebus import CacheBus, ContractError, Fence, LockBusy, LockLost, Settings
from engines import Server
from proxy import Proxy

from .conftest import PATIENT, client
from .twins import nap, soon, together

KEY = "lock:orders"


def test_one_holder_at_a_time(bus: CacheBus, admin: redis.Redis) -> None:
    locks = bus.locks("lock")
    with locks.lock("orders") as lock:
        assert lock.held
        lock.check()
        assert 0 < admin.pttl(KEY) <= 30_000
        with pytest.raises(LockBusy):
            locks.lock("orders").acquire()
        with locks.lock("invoices"):
            pass
    assert not lock.held
    assert admin.exists(KEY) == 0


def test_waits_for_the_holder(bus: CacheBus) -> None:
    locks = bus.locks("lock")
    fences: list[Fence] = []

    def work() -> None:
        with locks.lock("orders", wait=20) as lock:
            assert all(lock.fence > fence for fence in fences)
            fences.append(lock.fence)
            nap(0.01)

    together(8, work)
    assert len(set(fences)) == 8
    assert fences == sorted(fences)


def test_is_kept_alive(bus: CacheBus, admin: redis.Redis) -> None:
    with bus.locks("lock").lock("orders", ttl=0.6) as lock:
        nap(1.5)
        lock.check()
        assert admin.get(KEY)


def test_a_loss_is_noticed(bus: CacheBus, admin: redis.Redis) -> None:
    with bus.locks("lock").lock("orders", ttl=0.6) as lock:
        admin.set(KEY, "another's")
        assert lock.lost(5)
        with pytest.raises(LockLost):
            lock.check()
    assert admin.get(KEY) == "another's"


def test_a_release_says_whether_it_was_held(bus: CacheBus, admin: redis.Redis) -> None:
    lock = bus.locks("lock").lock("orders")
    lock.acquire()
    assert lock.release()
    lock = bus.locks("lock").lock("orders")
    lock.acquire()
    admin.delete(KEY)
    assert not lock.release()


def test_a_server_that_is_gone_loses_the_lock(own_server: Server) -> None:
    settings = Settings(deadline=0.3, connect_timeout=0.1, command_timeout=0.1)
    with client(own_server.port, settings) as bus, bus.locks("lock").lock("orders", ttl=5.0) as lock:
        own_server.stop()
        assert lock.held
        begun = time.monotonic()
        assert lock.lost(15)
        assert time.monotonic() - begun < 6
        assert not lock.held


def test_a_lost_reply_gives_the_same_lock(proxy: Proxy, admin: redis.Redis) -> None:
    with client(proxy.port, PATIENT) as bus:
        proxy.cut(b"cachebus_lock")
        with bus.locks("lock").lock("orders") as lock:
            assert proxy.passed == 2
            assert admin.get("lock:orders:fence") == f"{lock.fence.epoch} {lock.fence.counter}"
            proxy.cut(b"cachebus_unlock")
        assert proxy.passed == 2
    assert admin.exists(KEY) == 0


def test_an_error_inside_releases(bus: CacheBus, admin: redis.Redis) -> None:
    with pytest.raises(ZeroDivisionError):
        with bus.locks("lock").lock("orders"):
            raise ZeroDivisionError
    assert admin.exists(KEY) == 0


def test_only_locks_are_locks(bus: CacheBus) -> None:
    with pytest.raises(ContractError):
        bus.locks("agent")
    with pytest.raises(ContractError):
        bus.locks("none")


def test_a_holder_that_died_is_followed(bus: CacheBus, admin: redis.Redis) -> None:
    first = bus.locks("lock").lock("orders", ttl=0.3)
    first.acquire()
    first._keeper.stop()
    second = bus.locks("lock").lock("orders", wait=5)
    second.acquire()
    assert second.fence > first.fence
    soon(lambda: not first.held)
    assert not first.release()
    assert admin.get(KEY)
    second.release()

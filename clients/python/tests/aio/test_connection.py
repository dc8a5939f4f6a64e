"""The way to the primary: what is repeated, what is not, and what changes underneath."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

import contracts
import rights
from cachebus import (
    AuthenticationFailed,
    BindingError,
    Denied,
    Folder,
    Outcome,
    OutcomeUnknown,
    Refused,
    Settings,
    Unavailable,
)
from cachebus.aio import CacheBus
from engines import Server, eventually
from proxy import Proxy
from sentinels import Deployment

from .conftest import PATIENT, client
from .twins import background, nap, soon, together


def folder(path: Path, port: int, password: str = rights.PASSWORD) -> None:
    entries = {
        "type": "servicebinding.io/redis",
        "provider": "cachebus",
        "host": "127.0.0.1",
        "port": str(port),
        "username": rights.SERVICE,
        "password": password,
        "tls": "false",
        "contract.json": contracts.text(),
    }
    for name, text in entries.items():
        (path / name).write_text(text)


async def test_what_could_be_done_twice_is_not_repeated(proxy: Proxy, admin: redis.Redis) -> None:
    admin.function_flush()
    async with client(proxy.port, PATIENT) as bus:
        proxy.cut(b"PUBLISH")
        with pytest.raises(OutcomeUnknown) as raised:
            await bus.events.emit(bus.events.event("agent:updated", {}))
        assert not raised.value.retryable
        assert proxy.passed == 1
    eventually(lambda: admin.llen("events:agent:updated:history") == 1)


async def test_what_may_be_done_twice_is_repeated(proxy: Proxy) -> None:
    async with client(proxy.port, PATIENT) as bus:
        agents = bus.cache.keyspace("agent")
        proxy.cut(b"\r\nSET\r\n")
        await agents.set(1, 1)
        assert proxy.passed == 2
        proxy.cut(b"\r\nGET\r\n")
        assert await agents.get(1) == 1
        assert proxy.passed == 2


async def test_an_event_is_repeated_and_counts_once(proxy: Proxy, admin: redis.Redis) -> None:
    async with client(proxy.port, PATIENT) as bus:
        proxy.cut(b"cachebus_emit", times=2)
        emitted = await bus.events.emit(bus.events.event("task:created", {"id": 7}))
        assert emitted.outcome is Outcome.DUPLICATE
        assert proxy.passed == 3
    assert admin.xlen("events:task:created:stream") == 1
    assert admin.llen("events:task:created:history") == 1


async def test_the_deadline_is_kept(proxy: Proxy) -> None:
    settings = Settings(deadline=0.4, command_timeout=0.3)
    async with client(proxy.port, settings) as bus:
        proxy.cut(b"cachebus_emit", times=1_000)
        with pytest.raises(OutcomeUnknown) as raised:
            await bus.events.emit(bus.events.event("task:created", {}))
        assert raised.value.retryable


async def test_a_restart_is_ridden_through(own_server: Server) -> None:
    async with client(own_server.port) as bus:
        agents = bus.cache.keyspace("agent")
        await agents.set(1, 1)
        own_server.stop()
        emitted = []

        async def emit() -> None:
            emitted.append(await bus.events.emit(bus.events.event("task:created", {})))

        async with background(emit, own_server.start):
            await nap(0.3)
            assert not emitted
        assert emitted[0].outcome is Outcome.EMITTED
        assert await agents.get(1) == 1


async def test_a_session_that_was_ended_is_made_again(bus: CacheBus, admin: redis.Redis) -> None:
    agents = bus.cache.keyspace("agent")
    for _ in range(3):
        await together(5, lambda: agents.set(1, 1))
        assert admin.client_kill_filter(_type="normal") >= 1
        # Not repeated, and yet without an error: who has gone is seen before anything is sent.
        await bus._connection.call("SET", "agent:1", "2", safe=False)


async def test_old_sessions_end_with_the_old_password(server: Server, admin: redis.Redis, tmp_path: Path) -> None:
    def sessions() -> list[str]:
        return [each["id"] for each in admin.client_list() if each["user"] == rights.SERVICE]

    folder(tmp_path, server.port)
    async with CacheBus(Folder(tmp_path), settings=Settings(reload_every=0.02)) as bus:
        agents = bus.cache.keyspace("agent")
        await agents.set(1, 1)
        [before] = sessions()
        await agents.set(1, 1)
        assert sessions() == [before]
        admin.execute_command("ACL", "SETUSER", rights.SERVICE, ">second")
        (tmp_path / "password").write_text("second")
        await nap(0.05)
        await agents.set(1, 1)
        eventually(lambda: len(sessions()) == 1)
        assert sessions() != [before]


async def test_what_a_replica_refuses_is_repeated(own_server: Server) -> None:
    admin = own_server.admin()
    async with client(own_server.port, Settings(deadline=0.5)) as bus:
        await bus.cache.keyspace("agent").set(1, 1)
        admin.replicaof("127.0.0.1", 1)
        with pytest.raises(Refused):
            await bus.cache.keyspace("agent").set(1, 2)
    async with client(own_server.port) as bus:
        agents = bus.cache.keyspace("agent")
        async with background(lambda: agents.set(1, 3), lambda: admin.replicaof("NO", "ONE")):
            await nap(0.2)
        assert await agents.get(1) == 3


async def test_a_replica_is_not_read(own_server: Server) -> None:
    own_server.admin().set("agent:1", "1")
    own_server.admin().replicaof("127.0.0.1", 1)
    async with client(own_server.port, Settings(deadline=0.5)) as bus:
        with pytest.raises(Refused):
            await bus.cache.keyspace("agent").get(1)


async def test_a_password_change_is_ridden_through(server: Server, admin: redis.Redis, tmp_path: Path) -> None:
    folder(tmp_path, server.port)
    stopped: list[bool] = []
    async with CacheBus(Folder(tmp_path), settings=PATIENT) as bus:
        agents = bus.cache.keyspace("agent")

        async def work() -> None:
            while not stopped:
                await agents.set(1, 1)
                assert await agents.get(1) == 1

        async with background(work, lambda: stopped.append(True)):
            await nap(0.1)
            admin.execute_command("ACL", "SETUSER", rights.SERVICE, ">second")
            (tmp_path / "password").write_text("second")
            await nap(0.3)
            admin.execute_command("ACL", "SETUSER", rights.SERVICE, f"<{rights.PASSWORD}")
            admin.client_kill_filter(_type="normal")
            await nap(0.2)


async def test_a_late_look_at_the_files_is_made_up_for(server: Server, admin: redis.Redis, tmp_path: Path) -> None:
    folder(tmp_path, server.port)
    async with CacheBus(Folder(tmp_path), settings=Settings(reload_every=3600)) as bus:
        agents = bus.cache.keyspace("agent")
        await agents.set(1, 1)
        rights.grant(admin, rights.granted(), password="second")
        (tmp_path / "password").write_text("second")
        admin.client_kill_filter(_type="normal")
        assert await agents.get(1) == 1


async def test_a_wrong_password_is_said_so(server: Server, tmp_path: Path) -> None:
    folder(tmp_path, server.port, password="wrong-and-secret")
    async with CacheBus(Folder(tmp_path)) as bus:
        with pytest.raises(AuthenticationFailed) as raised:
            await bus.cache.keyspace("agent").get(1)
        assert "wrong-and-secret" not in str(raised.value)


async def test_switches_of_the_contract_are_live(server: Server, tmp_path: Path) -> None:
    folder(tmp_path, server.port)
    async with CacheBus(Folder(tmp_path), settings=Settings(reload_every=0.02)) as bus:
        agents = bus.cache.keyspace("agent")
        await agents.set(1, 1)
        text = contracts.text()
        (tmp_path / "contract.json").write_text(text.replace('"enabled": true', '"enabled": false'))
        await nap(0.05)
        assert await agents.get(1) is None
        emitted = await bus.events.emit(bus.events.event("task:created", {}))
        assert emitted.outcome is Outcome.DISABLED
        (tmp_path / "contract.json").write_text(text[:40])
        await nap(0.05)
        assert await agents.get(1) is None
        (tmp_path / "contract.json").write_text(text)
        await nap(0.05)
        assert await agents.get(1) == 1


async def test_a_denial_says_no_value(bus: CacheBus, admin: redis.Redis) -> None:
    granted = rights.granted()
    granted["write"] = granted["write"].without("+set")
    rights.grant(admin, granted)
    with pytest.raises(Denied) as raised:
        await bus.cache.keyspace("agent").set("who", "very-secret")
    assert "very-secret" not in str(raised.value)


async def test_nothing_listens() -> None:
    async with client(1, Settings(deadline=0.3)) as bus:
        with pytest.raises(Unavailable):
            await bus.cache.keyspace("agent").delete(1)


def test_no_binding(tmp_path: Path) -> None:
    with pytest.raises(BindingError):
        CacheBus(Folder(tmp_path))


async def test_a_failover_is_followed(engine: Server, tmp_path: Path) -> None:
    with Deployment(engine.image, tmp_path) as deployment:
        async with CacheBus(deployment.source(), settings=PATIENT) as bus:
            agents = bus.cache.keyspace("agent")
            await agents.set(1, 1)
            async with bus.locks("lock").lock("orders") as lock:
                before = lock.fence
            deployment.fail_over()
            await agents.set(1, 2)
            assert await agents.get(1) == 2
            emitted = await bus.events.emit(bus.events.event("task:created", {}))
            assert emitted.outcome is Outcome.EMITTED
            async with bus.locks("lock").lock("orders") as lock:
                assert lock.fence.epoch > before.epoch
                assert lock.fence > before


async def test_copies_confirm(engine: Server, tmp_path: Path) -> None:
    with Deployment(engine.image, tmp_path, confirm=1) as deployment:
        async with CacheBus(deployment.source(), settings=PATIENT) as bus:
            event = bus.events.event("task:created", {})
            assert (await bus.events.emit(event)).outcome is Outcome.EMITTED
            deployment.replica.freeze()
            try:
                event = bus.events.event("task:created", {})
                for _ in range(2):
                    # A repetition waits for the copies of the first again.
                    with pytest.raises(Exception, match="0 of 1 replicas confirmed"):
                        await bus.events.emit(event)
            finally:
                deployment.replica.thaw()
            await soon(lambda: deployment.replica.admin().xlen("events:task:created:stream") == 2)
            assert (await bus.events.emit(event)).outcome is Outcome.DUPLICATE

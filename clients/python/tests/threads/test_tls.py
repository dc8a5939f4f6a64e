"""Certificates that are checked, and changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import contracts
import rights
from authority import Authority
from cachebus import CacheBus, Folder, Keyspace, Near, Settings, Unavailable
from engines import Server, free_port

from .conftest import PATIENT
from .twins import background, nap, soon, together


class Secured:
    """A server that takes TLS, and the folder of its binding."""

    def __init__(self, image: str, folder: Path) -> None:
        self.port = free_port()
        self.data = folder / "data"
        self.binding = folder / "binding"
        for each in (self.data, self.binding):
            each.mkdir()
        Authority(folder / "first").issue(self.data)
        files = [str(self.data / name) for name in ("tls.crt", "tls.key")]
        options = ["--tls-port", str(self.port), "--tls-cert-file", files[0], "--tls-key-file", files[1]]
        options += ["--tls-auth-clients", "no", "--tls-ca-cert-file", files[0], "--save", ""]
        self.server = Server(image, self.data, *options).start()
        self.server.load()
        rights.grant(self.server.admin(), rights.granted())
        self.write("ca.crt", (folder / "first" / "ca.crt").read_text())
        self.write("uri", f"rediss://{rights.SERVICE}:{rights.PASSWORD}@127.0.0.1:{self.port}/0")
        self.write("contract.json", contracts.text())

    def write(self, name: str, text: str) -> None:
        # Whole or not at all, as a mounted Secret changes.
        fresh = self.binding / f"{name}.fresh"
        fresh.write_text(text)
        fresh.replace(self.binding / name)

    def reload(self) -> None:
        """Has the server read its certificate again."""
        admin = self.server.admin()
        admin.config_set("tls-cert-file", str(self.data / "tls.crt"), "tls-key-file", str(self.data / "tls.key"))


@pytest.fixture
def secured(engine: Server, tmp_path: Path) -> Iterator[Secured]:
    secured = Secured(engine.image, tmp_path)
    yield secured
    secured.server.stop()


def test_the_bindings_authority_is_trusted(secured: Secured) -> None:
    with CacheBus(Folder(secured.binding), settings=PATIENT) as bus:
        agents = bus.cache.keyspace("agent")
        agents.set(1, 1)
        assert agents.get(1) == 1
        with bus.events.subscribe("agent") as events:
            event = bus.events.event("agent:updated", {})
            bus.events.emit(event)
            assert events.__next__() == event


def test_what_is_held_near_travels_so_too(secured: Secured) -> None:
    admin = secured.server.admin()
    rights.grant(admin, rights.granted(), "+client|tracking")
    with CacheBus(Folder(secured.binding), settings=PATIENT) as bus:
        agents: Keyspace[str] = bus.cache.keyspace("agent", near=Near(64 << 20, max_age=600))
        for number in range(30):
            # Of many records each, and several on their way at the same time.
            value = str(number) * 50_000
            admin.mset({f"agent:{part}": f'"{value}"' for part in range(8)})
            parts = iter(range(8))
            together(8, lambda parts=parts: agents.get(next(parts)))
            deadline = time.monotonic() + 30
            while agents.get(7) != value:
                assert time.monotonic() < deadline
                nap(0.01)


def test_no_other_is(secured: Secured, tmp_path: Path) -> None:
    secured.write("ca.crt", Authority(tmp_path / "other").pem)
    with CacheBus(Folder(secured.binding), settings=Settings(deadline=0.5)) as bus:
        with pytest.raises(Unavailable):
            bus.cache.keyspace("agent").get(1)


def test_names_are_checked(secured: Secured) -> None:
    secured.write("uri", f"rediss://{rights.SERVICE}:{rights.PASSWORD}@localhost:{secured.port}/0")
    with CacheBus(Folder(secured.binding), settings=Settings(deadline=0.5)) as bus:
        with pytest.raises(Unavailable):
            bus.cache.keyspace("agent").get(1)


def test_a_change_of_the_authority_is_ridden_through(secured: Secured, tmp_path: Path) -> None:
    done: list[int] = []
    stopped: list[bool] = []
    with CacheBus(Folder(secured.binding), settings=PATIENT) as bus:
        agents = bus.cache.keyspace("agent")

        def work() -> None:
            while not stopped:
                agents.set(1, len(done))
                assert agents.get(1) == len(done)
                done.append(1)

        with background(work, lambda: stopped.append(True)):
            soon(lambda: len(done) > 5)
            second = Authority(tmp_path / "second")
            first = (secured.binding / "ca.crt").read_text()
            secured.write("ca.crt", first + second.pem)
            nap(0.2)
            second.issue(secured.data)
            secured.reload()
            secured.write("ca.crt", second.pem)
            secured.server.admin().client_kill_filter(_type="normal")
            before = len(done)
            soon(lambda: len(done) > before + 20)

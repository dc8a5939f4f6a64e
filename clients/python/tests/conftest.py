"""Servers of every engine, and the service's user on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import postgres
import rights
from engines import IMAGES, Server
from postgres import Postgres


@pytest.fixture(scope="session", params=IMAGES, ids=lambda image: image.rsplit("/", 1)[-1])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of one engine, shared by its tests."""
    server = Server(request.param, tmp_path_factory.mktemp("data"), "--save", "")
    yield server.start()
    server.stop()


@pytest.fixture
def server(engine: Server) -> Server:
    """The shared server, empty, with the library and the service's user."""
    admin = engine.admin()
    admin.flushall()
    engine.load()
    rights.grant(admin, rights.granted())
    return engine


@pytest.fixture
def own_server(engine: Server, tmp_path: Path) -> Iterator[Server]:
    """A server of a test's own that keeps each write, for tests that kill it."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = Server(engine.image, folder, "--save", "", "--appendonly", "yes", "--appendfsync", "always").start()
    server.load()
    rights.grant(server.admin(), rights.granted())
    server.admin().acl_save()
    yield server
    server.stop()


@pytest.fixture
def admin(server: Server) -> redis.Redis:
    return server.admin()


@pytest.fixture
def worker(server: Server) -> Iterator[redis.Redis]:
    """A plain client with the service's rights."""
    client = server.client(rights.SERVICE, rights.PASSWORD)
    yield client
    client.close()


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[Postgres]:
    """A database server, shared by its tests."""
    if not postgres.IMAGE:
        pytest.skip("CACHEBUS_TEST_POSTGRES_IMAGE names no image")
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
def conninfo(shared_postgres: Postgres) -> str:
    """Of an empty database."""
    return shared_postgres.database()

"""Clients of the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import contracts
import rights
from cachebus import CacheBus, Settings, Url
from engines import Server
from proxy import Proxy

from .twins import fixture

QUICK = Settings(connect_timeout=0.5, command_timeout=0.5, deadline=3.0)


def client(port: int, settings: Settings = QUICK, contract: str | None = None, **options: Any) -> CacheBus:
    url = f"redis://{rights.SERVICE}:{rights.PASSWORD}@127.0.0.1:{port}/0"
    return CacheBus(Url(url, contract or contracts.text()), settings=settings, **options)


@fixture
def bus(server: Server) -> Iterator[CacheBus]:
    with client(server.port) as bus:
        yield bus


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    proxy = Proxy(server.port)
    yield proxy
    proxy.close()

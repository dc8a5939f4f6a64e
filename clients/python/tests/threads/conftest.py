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

# For tests that are not about time, on machines that are busy.
PATIENT = Settings(connect_timeout=3.0, command_timeout=3.0, deadline=30.0, reload_every=0.05)


def client(port: int, settings: Settings = PATIENT, contract: str | None = None, **options: Any) -> CacheBus:
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

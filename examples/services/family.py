"""What both services in Python have besides their purpose: others to ask and to tell, an HTTP server, and an end."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from aiohttp import ClientSession, web
from cachebus import Event, Outcome
from cachebus.aio import CacheBus


class SwitchedOffError(Exception):
    """Nobody is told, for events are switched off. A handler that fails for it is tried again when they are on."""


async def tell(bus: CacheBus, event: Event) -> None:
    """Emits what has to be told."""
    if (await bus.events.emit(event)).outcome is Outcome.DISABLED:
        raise SwitchedOffError


async def ask(http: ClientSession, url: str) -> Any:
    """What another service answers; ``None`` where it has no such thing."""
    async with http.get(url) as answer:
        if answer.status == 404:
            return None
        answer.raise_for_status()
        return await answer.json()


async def serve(app: web.Application) -> None:
    """Serves on the address ``LISTEN`` until the process is told to end; answers what is asked by then."""
    app.router.add_get("/healthz", _healthy)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    host, _, port = os.environ["LISTEN"].rpartition(":")
    await web.TCPSite(runner, host, int(port)).start()
    ended = asyncio.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    await ended.wait()
    await runner.cleanup()


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")

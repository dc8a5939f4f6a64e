"""Tries what README.md promises: of a workflow, a change, a stale answer, a switch, and of all without the bus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import ClientSession
from cachebus import Folder
from cachebus.aio import CacheBus

import chromium
from ai_model import keep
from look import look
from run import HOST, Family, family, free_port

# Seconds. An answer takes no longer, whatever the bus does.
BUDGET = 3.0
# Seconds until something has happened that nobody waits for.
SOON = 20.0


class Way:
    """A way to the bus that can be closed."""

    def __init__(self, bindings: Path) -> None:
        binding = bindings / "dashboard"
        self._target = (binding / "host").read_text(), int((binding / "port").read_text())
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = free_port()

    async def open(self) -> None:
        """Lets everything through."""
        self._server = await asyncio.start_server(self._pass, HOST, self.port)

    def close(self) -> None:
        """Cuts off all that is open, and lets nothing through."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._open):
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_bus, to_bus = await asyncio.open_connection(*self._target)
        ends = {writer, to_bus}
        self._open |= ends
        await asyncio.gather(_copy(reader, to_bus), _copy(from_bus, writer))
        self._open -= ends


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


class Browser:
    """What a page does."""

    def __init__(self, http: ClientSession, page: str) -> None:
        self._http = http
        self._page = page
        self.heard: list[dict[str, Any]] = []

    @contextlib.asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        """Hears events meanwhile."""
        async with self._http.ws_connect(f"{self._page}/live") as socket:

            async def hear() -> None:
                async for message in socket:
                    self.heard.append(json.loads(message.data))

            hearing = asyncio.create_task(hear())
            yield
            hearing.cancel()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """What is answered, within the budget."""
        begun = time.monotonic()
        async with self._http.request(method, f"{self._page}/api/{path}", json=body) as answer:
            assert answer.status < 300, (method, path, answer.status)
            text = await answer.text()
        assert time.monotonic() - begun < BUDGET, (method, path)
        return json.loads(text) if text else None

    async def start(self, prompts: list[str]) -> int:
        """Starts a workflow."""
        tasks = [{"agent": 7, "prompt": prompt, "knowledge": "topic-1"} for prompt in prompts]
        started = await self.ask("POST", "workflows", {"name": "checked", "tasks": tasks})
        return int(started["id"])

    async def rename(self, name: str) -> None:
        """Renames an agent."""
        await self.ask("PUT", "agents/7", {"name": name, "model": "small", "instructions": ""})

    async def is_called(self, name: str) -> bool:
        """Whether readers see that name."""
        return bool((await self.ask("GET", "agents/7"))["name"] == name)

    async def is_in(self, workflow: int, state: str) -> bool:
        """Whether a workflow has come to this."""
        return bool((await self.ask("GET", f"workflows/{workflow}"))["state"] == state)

    def channels(self, workflow: int) -> list[str]:
        """What was told of a workflow and its tasks, in its order."""
        mine = [event for event in self.heard if event["metadata"]["correlation_id"] == f"workflow-{workflow}"]
        return [event["channel"] for event in mine]


async def check(folder: Path) -> int:
    """Tries all of it; the exit code. What is not so is raised."""
    way = Way(Path(os.environ["SERVICE_BINDING_ROOT"]))
    await way.open()
    async with family(folder, bus_port=way.port) as running, ClientSession() as http:
        browser = Browser(http, running.page)
        async with browser.live():
            for tried in (a_workflow_is_seen_to_its_end, a_change_is_seen_at_once, a_failure_is_alerted_once):
                await tried(browser)
                print(f"ok: {tried.__name__}", flush=True)
        await a_stale_answer_is_not_kept(running)
        print("ok: a_stale_answer_is_not_kept", flush=True)
        await a_model_that_is_switched_off_tells_later(browser, running)
        print("ok: a_model_that_is_switched_off_tells_later", flush=True)
        await without_the_bus_all_is_answered(browser, way)
        print("ok: without_the_bus_all_is_answered", flush=True)
        if program := chromium.program():
            await look(program, running.page, way.close, way.open)
            print("ok: the page in Chromium", flush=True)
        else:
            print("not checked: the page in Chromium, which is not installed", flush=True)
    way.close()
    return 0


async def a_workflow_is_seen_to_its_end(browser: Browser) -> None:
    """Each task is answered, and a page hears of all of it."""
    workflow = await browser.start(["one", "two", "three"])
    await until(lambda: browser.is_in(workflow, "completed"))
    for task in (await browser.ask("GET", f"workflows/{workflow}"))["tasks"]:
        assert (await browser.ask("GET", f"results/{task['id']}"))["answer"]
    await until(lambda: said(browser.channels(workflow).count("workflow:completed") == 1))
    channels = browser.channels(workflow)
    assert channels[0] == "workflow:started", channels
    assert channels.count("task:created") == channels.count("task:completed") == 3, channels


async def a_change_is_seen_at_once(browser: Browser) -> None:
    """Who reads after an answered change reads the change, cached as it may have been."""
    for name in ("first", "second"):
        await browser.rename(name)
        assert await browser.is_called(name)
    names = [event["data"]["name"] for event in browser.heard if event["channel"] == "agent:updated"]
    assert names == ["first", "second"], names


async def a_failure_is_alerted_once(browser: Browser) -> None:
    """A task without an answer fails its workflow, and pages are alerted."""
    workflow = await browser.start([" ", "two"])
    await until(lambda: browser.is_in(workflow, "failed"))

    def alerts() -> list[int]:
        return [event["data"]["failed"] for event in browser.heard if event["channel"] == "system:alert"]

    await until(lambda: said(alerts() == [workflow]))


async def a_stale_answer_is_not_kept(running: Family) -> None:
    """Of two holders of a task's lock the earlier one, which believes that it still holds it, writes last."""
    database = await asyncpg.create_pool(running.database, min_size=1, max_size=1)
    async with CacheBus(Folder(running.bindings / "ai_model")) as bus:
        locks = bus.locks("lock")
        async with locks.lock("task-1") as stale:
            pass
        async with locks.lock("task-1") as holder:
            assert await keep(database, 1, answered("new"), holder.fence)
        assert not await keep(database, 1, answered("old"), stale.fence)
    assert await database.fetchval("SELECT answer FROM task_result WHERE task = 1") == "new"
    await database.close()


async def a_model_that_is_switched_off_tells_later(browser: Browser, running: Family) -> None:
    """What happens to it alone loses nothing: it is not told of, and its tasks' events wait until it may tell."""
    await running.switch(False, ["ai_model"])
    answered, unanswered = await browser.start(["one", "two"]), await browser.start([" "])
    # The model finds them in the database meanwhile.
    await asyncio.sleep(3)
    for workflow in (answered, unanswered):
        assert await browser.is_in(workflow, "started")
    await running.switch(True, ["ai_model"])
    await until(lambda: browser.is_in(answered, "completed"))
    await until(lambda: browser.is_in(unanswered, "failed"))


async def without_the_bus_all_is_answered(browser: Browser, way: Way) -> None:
    """Reads are right and changes taken while the bus is away; what waits for it is done when it is back."""
    assert await browser.is_called("second")
    way.close()
    await browser.rename("third")
    assert await browser.is_called("third")
    workflow = await browser.start(["one"])
    for _ in range(20):
        assert await browser.is_in(workflow, "started")
        assert len(await browser.ask("GET", "agents")) == 100
    await way.open()
    await until(lambda: browser.is_in(workflow, "completed"))
    await until(lambda: browser.is_called("third"))


def answered(text: str) -> dict[str, Any]:
    """An answer as the model gives it."""
    return {"answer": text, "tokens": 1, "seconds": 1.0}


async def said(is_so: bool) -> bool:
    """What is known already."""
    return is_so


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Waits until it is."""
    begun = time.monotonic()
    while not await is_so():
        assert time.monotonic() - begun < SOON, "it has not come to that"
        await asyncio.sleep(0.1)

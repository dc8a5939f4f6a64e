"""Chromium without a window, by its DevTools protocol: what a page shows, and what it complained of."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

PROGRAMS = ["chromium", "chromium-browser", "google-chrome"]
OPTIONS = ["--headless=new", "--remote-debugging-port=0", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage"]
# Pictures are for any screen, and small.
OPTIONS += ["--disable-lcd-text", "--hide-scrollbars"]
# Seconds. It writes its port a moment after it has begun.
START_LIMIT = 30.0
# Seconds until a page shows what it is to show.
SOON = 20.0


def program() -> str | None:
    """Chromium, where it is on PATH."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Page:
    """An open page."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        # Errors in its console, and exceptions that nobody caught.
        self.complaints: list[str] = []

    async def open(self, url: str) -> None:
        """Shows another page; returns when it is there."""
        for domain in ("Page", "Runtime", "Log"):
            await self._call(f"{domain}.enable")
        self._loaded.clear()
        await self._call("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), SOON)

    async def value(self, expression: str) -> Any:
        """What JavaScript says in the page; JSON has to have it."""
        said = await self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in said, (expression, said)
        return said["result"].get("value")

    async def until(self, expression: str) -> Any:
        """Waits until that is true in the page; what it is then."""
        begun = time.monotonic()
        while not (found := await self.value(expression)):
            shown = await self.value("document.body.innerText")
            assert time.monotonic() - begun < SOON, f"the page does not come to {expression}, but shows:\n{shown}"
            await asyncio.sleep(0.05)
        return found

    async def screenshot(self) -> bytes:
        """As PNG, what a window would show."""
        return base64.b64decode((await self._call("Page.captureScreenshot", format="png"))["data"])

    async def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = len(self._asked)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        return await answer

    async def hear(self) -> None:
        """Takes what Chromium tells, until it ends."""
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                answer = self._asked[told["id"]]
                if "error" in told:
                    answer.set_exception(RuntimeError(str(told["error"])))
                else:
                    answer.set_result(told["result"])
            elif told["method"] == "Page.loadEventFired":
                self._loaded.set()
            elif complaint := _complaint(told["method"], told["params"]):
                self.complaints.append(complaint)


def _complaint(method: str, told: dict[str, Any]) -> str | None:
    if method == "Runtime.exceptionThrown":
        return json.dumps(told["exceptionDetails"])
    if method == "Log.entryAdded" and told["entry"]["level"] == "error":
        return json.dumps(told["entry"])
    if method == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert"):
        return json.dumps(told["args"])
    return None


@contextlib.asynccontextmanager
async def page(program: str, url: str, size: tuple[int, int] = (1160, 600)) -> AsyncIterator[Page]:
    """Opens it in a Chromium of its own, which ends with this."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        options = [*OPTIONS, f"--user-data-dir={folder}", f"--window-size={size[0]},{size[1]}"]
        if os.geteuid() == 0:
            # It refuses to run as root with one.
            options.append("--no-sandbox")
        nowhere = asyncio.subprocess.DEVNULL
        chromium = await asyncio.create_subprocess_exec(
            program, *options, "about:blank", stdout=nowhere, stderr=nowhere
        )
        try:
            port = await _port(Path(folder) / "DevToolsActivePort", chromium)
            async with ClientSession() as http:
                async with http.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                    tab = await answer.json()
                async with http.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    opened = Page(socket)
                    hearing = asyncio.create_task(opened.hear())
                    await opened.open(url)
                    yield opened
                    hearing.cancel()
        finally:
            with contextlib.suppress(ProcessLookupError):
                chromium.terminate()
            await chromium.wait()


async def _port(file: Path, chromium: asyncio.subprocess.Process) -> int:
    """Where it listens for DevTools, which it writes when it does."""
    begun = time.monotonic()
    while not (written := file.read_text() if file.exists() else ""):
        assert chromium.returncode is None, f"Chromium has ended with {chromium.returncode}"
        assert time.monotonic() - begun < START_LIMIT, "Chromium does not listen"
        await asyncio.sleep(0.05)
    return int(written.splitlines()[0])

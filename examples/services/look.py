"""Looks at the dashboard's page as a person does, in Chromium: live, and without the bus. Makes a picture of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from chromium import Page, page

# What stands in the page's list of events, and whether that is live.
SHOWN = "[...document.querySelectorAll('#events li')].map(line => line.textContent)"
STATE = "document.getElementById('state').className"
# The newest workflow that the page shows, as {id, state}.
NEWEST = """(() => {
    const item = document.querySelector('.workflow');
    return item && {id: Number(item.dataset.id), state: item.classList[1]};
})()"""


async def look(program: str, url: str, cut_off: Callable[[], None], let_in: Callable[[], Awaitable[None]]) -> None:
    """Starts workflows by the page, with the bus, without it, and when it is back; what is not so is raised."""
    async with page(program, url) as dashboard:
        await dashboard.until(f"{STATE} === 'live'")
        workflow = await _start(dashboard, "Is it live?")
        await _hears(dashboard, workflow, "workflow:completed")
        await dashboard.until(f"{NEWEST}.state === 'completed'")
        failing = await _start(dashboard, "")
        await _hears(dashboard, failing, "workflow:failed")
        await dashboard.until("!document.getElementById('notice').hidden")
        cut_off()
        await dashboard.until(f"{STATE} === 'silent'")
        waiting = await _start(dashboard, "Who is there?")
        await dashboard.until(f"{NEWEST}.state === 'started'")
        await let_in()
        await dashboard.until(f"{STATE} === 'live'")
        await _hears(dashboard, waiting, "workflow:completed")
        assert not dashboard.complaints, dashboard.complaints


async def picture(program: str, url: str, file: Path, others: Callable[[], Awaitable[None]]) -> None:
    """Writes what the page shows, as PNG, when workflows have been started by it and by others."""
    async with page(program, url) as dashboard:
        await dashboard.until(f"{STATE} === 'live'")
        await others()
        failing = await _start(dashboard, "")
        await _hears(dashboard, failing, "workflow:failed")
        workflow = await _start(dashboard, "How do locks work")
        await _hears(dashboard, workflow, "workflow:completed")
        await dashboard.until(f"{NEWEST}.state === 'completed'")
        await asyncio.to_thread(file.write_bytes, await dashboard.screenshot())
        assert not dashboard.complaints, dashboard.complaints


async def _start(dashboard: Page, question: str) -> int:
    """Starts a workflow as a person does; its number, once the page shows it."""
    before = await dashboard.value(f"{NEWEST}?.id ?? 0")
    await dashboard.value(f"document.getElementById('prompt').value = {question!r}")
    await dashboard.until("!document.querySelector('button').disabled")
    await dashboard.value("document.querySelector('button').click()")
    newest: dict[str, int] = await dashboard.until(f"{NEWEST}?.id > {before} && {NEWEST}")
    return newest["id"]


async def _hears(dashboard: Page, workflow: int, channel: str) -> None:
    """Waits until the page shows an event of a workflow."""
    await dashboard.until(f"{SHOWN}.some(line => line.includes('{channel} id {workflow}'))")

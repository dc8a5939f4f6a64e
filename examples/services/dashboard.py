"""A page of what the family does, as it happens. What the cache does not have is asked of its owner."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import ClientError, ClientSession, web
from cachebus import CacheBusError, Event
from cachebus.aio import CacheBus

from family import ask, serve, tell

PAGE = Path(__file__).with_name("page.html")

# Events that are kept for a browser that is slow to take them.
MOST_BEHIND = 200

log = logging.getLogger("dashboard")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def dashboard(bus: CacheBus, http: ClientSession) -> web.Application:
    """Registers what is done with events, and returns what is answered to requests."""
    agent = f"{os.environ['AGENT_DESIGNER']}/agents/{{id}}"
    agents = f"{os.environ['AGENT_DESIGNER']}/agents"
    workflow = f"{os.environ['WORKFLOW_ENGINE']}/workflows/{{id}}"
    workflows = f"{os.environ['WORKFLOW_ENGINE']}/workflows"
    result = f"{os.environ['AI_MODEL']}/results/{{id}}"
    browsers: dict[web.WebSocketResponse, asyncio.Queue[str]] = {}

    def shown(keyspace: str, owner: str) -> Handler:
        """Answers from a keyspace that others fill, and by its owner where they have not."""
        values = bus.cache.keyspace(keyspace)

        async def show(request: web.Request) -> web.Response:
            parts = dict(request.match_info) or None
            value = await values.get_or_load(parts, lambda: ask(http, owner.format(**request.match_info)))
            if value is None:
                raise web.HTTPNotFound
            return web.json_response(value)

        return show

    def handed_on(owner: str) -> Handler:
        """Has the owner do what is asked."""

        async def hand_on(request: web.Request) -> web.Response:
            url, body = owner.format(**request.match_info), await request.read()
            headers = {"Content-Type": "application/json"}
            async with http.request(request.method, url, data=body, headers=headers) as answer:
                return web.Response(status=answer.status, body=await answer.read(), content_type="application/json")

        return hand_on

    async def live() -> None:
        """Hands to every browser what is published, while it is published."""
        while True:
            try:
                async with bus.events.subscribe("agent", "task", "workflow", "system") as events:
                    async for event in events:
                        show_all(event.encode())
            except CacheBusError as error:
                log.warning("not listening yet: %s", error)
                await asyncio.sleep(1)

    def show_all(text: str) -> None:
        for behind in browsers.values():
            if behind.full():
                # A page looks at all anew now and then: it may miss the oldest.
                behind.get_nowait()
            behind.put_nowait(text)

    async def connect(request: web.Request) -> web.WebSocketResponse:
        browser = web.WebSocketResponse(heartbeat=20)
        await browser.prepare(request)
        behind = browsers[browser] = asyncio.Queue(MOST_BEHIND)

        async def write() -> None:
            while True:
                await browser.send_str(await behind.get())

        writing = asyncio.create_task(write())
        try:
            async for _ in browser:
                pass
        finally:
            writing.cancel()
            del browsers[browser]
        return browser

    @bus.events.on("task", "workflow")
    async def watch(event: Event) -> None:
        """Durable: one of all dashboards alerts, also of what failed while none was there."""
        if event.channel == "workflow:failed":
            alert_id = f"evt_alert-{event.event_id.removeprefix('evt_')}"
            alert = bus.events.event("system:alert", {"failed": event.data["id"]}, event_id=alert_id)
            await tell(bus, alert)

    @web.middleware
    async def owners_may_be_away(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ClientError:
            raise web.HTTPBadGateway from None

    async def page(_: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE)

    async def living(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(live())
        yield
        task.cancel()

    async def leave(_: web.Application) -> None:
        for browser in list(browsers):
            await browser.close()

    app = web.Application(middlewares=[owners_may_be_away])
    app.router.add_get("/", page)
    app.router.add_get("/live", connect)
    app.router.add_get("/api/agents", shown("agent_list", agents))
    app.router.add_get(r"/api/agents/{id:\d+}", shown("agent", agent))
    app.router.add_put(r"/api/agents/{id:\d+}", handed_on(agent))
    app.router.add_post("/api/workflows", handed_on(workflows))
    app.router.add_get(r"/api/workflows/{id:\d+}", shown("workflow", workflow))
    app.router.add_get(r"/api/results/{id:\d+}", shown("task_result", result))
    app.cleanup_ctx.append(living)
    app.on_shutdown.append(leave)
    return app


async def main() -> None:
    """Serves, and handles events, until the process is told to end."""
    async with CacheBus() as bus, ClientSession() as http:
        app = dashboard(bus, http)

        async def served() -> None:
            await serve(app)
            bus.events.stop()

        await asyncio.gather(served(), bus.events.run())


if __name__ == "__main__":
    logging.basicConfig()
    asyncio.run(main())

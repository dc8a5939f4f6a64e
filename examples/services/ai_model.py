"""The model behind the agents. It answers each task once, however often and to whomever it is told of."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
from aiohttp import ClientError, ClientSession, web
from cachebus import CacheBusError, ConsumerOptions, Event, Fence, Outcome
from cachebus.aio import CacheBus

from family import SwitchedOffError, ask, serve, tell

# Queries that the database sees of this process at the same time, at most: also when the cache is off.
MOST_QUERIES = 8
# Seconds for which another may be busy with a task before its event is handled again.
LONGEST_ANSWER = 30

# Who paused while it held the lock, and lost it, comes with a lower number than its successor: its answer is not kept.
KEEP = """
    INSERT INTO task_result AS kept (task, answer, tokens, seconds, epoch, counter) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (task) DO UPDATE SET answer = excluded.answer, tokens = excluded.tokens, seconds = excluded.seconds,
        epoch = excluded.epoch, counter = excluded.counter
    WHERE (kept.epoch, kept.counter) <= (excluded.epoch, excluded.counter)
"""
RESULT = "SELECT answer, tokens, seconds FROM task_result WHERE task = $1"
KNOWLEDGE = "SELECT text FROM knowledge WHERE agent = $1 AND id = $2"
UNANSWERED = """
    SELECT t.id FROM task t LEFT JOIN task_result r ON r.task = t.id
    WHERE t.ended_at IS NULL AND r.task IS NULL ORDER BY t.id LIMIT 100
"""

# Others may be away for a while: events become dead letters after half a minute rather than at once.
PATIENT = ConsumerOptions(attempts=12)

log = logging.getLogger("ai_model")


class UnanswerableError(Exception):
    """The model has nothing to say to this."""


async def keep(database: asyncpg.Pool, task: int, result: dict[str, Any], fence: Fence) -> bool:
    """Writes an answer; ``False`` where a later holder of the task's lock has written one."""
    values = result["answer"], result["tokens"], result["seconds"]
    status = await database.execute(KEEP, task, *values, fence.epoch, fence.counter)
    return bool(status == "INSERT 0 1")


async def generate(prompt: str, agent: dict[str, Any], knowledge: str | None) -> dict[str, Any]:
    """Stands for a model: slow, and sometimes at a loss."""
    if not prompt.strip():
        raise UnanswerableError
    begun = time.monotonic()
    await asyncio.sleep(random.uniform(0.02, 0.06))  # noqa: S311
    answer = f"{agent['name']}: {prompt}? {(knowledge or 'I do not know.')[:80]}"
    return {"answer": answer, "tokens": len(answer.split()), "seconds": time.monotonic() - begun}


def ai_model(bus: CacheBus, database: asyncpg.Pool, http: ClientSession) -> web.Application:
    """Registers what is done with events, and returns what is answered to requests."""
    agent_designer, workflow_engine = os.environ["AGENT_DESIGNER"], os.environ["WORKFLOW_ENGINE"]
    locks = bus.locks("lock")
    agents = bus.cache.keyspace("agent")
    tasks = bus.cache.keyspace("task")
    results = bus.cache.keyspace("task_result")
    answered = 0

    # The parameters make the key, task:result:{id} and knowledge:{agent}:{id}.
    @bus.cache.cached(results)
    async def result(id: int) -> dict[str, Any] | None:
        row = await database.fetchrow(RESULT, id)
        return dict(row) if row else None

    @bus.cache.cached("knowledge")
    async def knowledge(agent: int, id: str) -> str | None:
        text: str | None = await database.fetchval(KNOWLEDGE, agent, id)
        return text

    @bus.events.on("task:created")
    async def created(event: Event) -> None:
        await work(event.data["id"])

    async def work(id: int) -> None:
        # Others' keyspaces may be read, not filled: whom they belong to fills them when asked.
        task = await tasks.get_or_load(id, lambda: ask(http, f"{workflow_engine}/tasks/{id}"))
        if task is None:
            return
        about = {"id": id, "workflow": task["workflow"], "agent": task["agent"]}
        # The lock saves the work of answering twice; that no stale answer is kept is for the database to see to.
        async with locks.lock(f"task-{id}", wait=LONGEST_ANSWER) as lock:
            if await result(id) is None:
                await bus.events.emit(bus.events.event("task:started", about))
                try:
                    answer = await answer_to(task)
                except UnanswerableError:
                    await tell_once("task:failed", about)
                    return
                if not await keep(database, id, answer, lock.fence):
                    log.warning("task %d: another has answered meanwhile", id)
                    return
                await results.set(id, answer)
        await tell_once("task:completed", about)

    async def answer_to(task: dict[str, Any]) -> dict[str, Any]:
        nonlocal answered
        number = task["agent"]
        agent = await agents.get_or_load(number, lambda: ask(http, f"{agent_designer}/agents/{number}"))
        answer = await generate(task["prompt"], agent, task["knowledge"] and await knowledge(number, task["knowledge"]))
        answered += 1
        return answer

    async def tell_once(channel: str, about: dict[str, Any]) -> None:
        # A handler that is tried again tells again: by the same id, so it counts once.
        event_id = f"evt_{channel.replace(':', '-')}-{about['id']}"
        workflow = f"workflow-{about['workflow']}"
        await tell(bus, bus.events.event(channel, about, event_id=event_id, correlation_id=workflow))

    async def report() -> None:
        """Tells how much was answered. While events are switched off, asks the database what nobody may tell: others
        hear of it when they are on, for then the tasks' own events are handled."""
        while True:
            await asyncio.sleep(1)
            try:
                figures = bus.events.event("system:metrics", {"service": "ai_model", "answered": answered})
                if (await bus.events.emit(figures)).outcome is Outcome.DISABLED:
                    for row in await database.fetch(UNANSWERED):
                        with contextlib.suppress(SwitchedOffError):
                            await work(row["id"])
            except (CacheBusError, ClientError, OSError, asyncpg.PostgresError) as error:
                log.warning("no report this time: %s", type(error).__name__)

    async def show(request: web.Request) -> web.Response:
        found = await result(int(request.match_info["id"]))
        if found is None:
            raise web.HTTPNotFound
        return web.json_response(found)

    async def reporting(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(report())
        yield
        task.cancel()

    app = web.Application()
    app.router.add_get(r"/results/{id:\d+}", show)
    app.cleanup_ctx.append(reporting)
    return app


async def main() -> None:
    """Serves, and handles events, until the process is told to end."""
    pool = asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=MOST_QUERIES, reset=_as_it_is)
    async with CacheBus() as bus, pool as database, ClientSession() as http:
        app = ai_model(bus, database, http)

        async def served() -> None:
            await serve(app)
            bus.events.stop()

        await asyncio.gather(served(), bus.events.run(PATIENT))


async def _as_it_is(_: asyncpg.Connection) -> None:
    """Nothing that is done here has to be taken back before a connection's next use."""


if __name__ == "__main__":
    logging.basicConfig()
    asyncio.run(main())

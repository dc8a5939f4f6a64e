"""Plays requests as browsers make them, and tells how long answers took and what the database was asked meanwhile.

In a pod of `ai_model`, which has the binding and the database: `python load.py http://dashboard:8080` plays them once.
`run.py load` compares.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from aiohttp import ClientError, ClientSession

# What seed.sql makes.
AGENTS, WORKFLOWS, TASKS = 100, 10_000, 200_000
# Of a thousand requests. Some agents, and newer workflows and results, are asked for far more often than others (Zipf).
MIX = {"agent": 580, "agents": 100, "workflow": 200, "result": 105, "redesign": 10, "start": 5}
REQUESTS = 2000
ROUNDS = 3
AT_ONCE = 2

# What cache and bus are to bring: answers in at most, and queries at most, this part of what they take without.
MEDIAN_AIM = 1 / 5
QUERIES_AIM = 1 / 2

# All statements that the database was given since it began, of whomever.
QUERIES = """
    SELECT coalesce(sum(s.calls), 0)::bigint FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
    WHERE d.datname = current_database()
"""

# What could not be told while events were off. Once they are on it is told, and that is no part of the load.
UNTOLD = "SELECT count(*) FROM workflow_outbox"

Request = tuple[str, str, dict[str, Any] | None]


@dataclass
class Played:
    """What came of some requests."""

    times: list[float] = field(default_factory=list)
    errors: int = 0
    queries: int = 0

    def add(self, other: Played) -> None:
        """Takes another round in."""
        self.times += other.times
        self.errors += other.errors
        self.queries += other.queries

    @property
    def median(self) -> float:
        """Milliseconds."""
        return statistics.median(self.times) * 1000

    @property
    def p99(self) -> float:
        """Milliseconds."""
        return statistics.quantiles(self.times, n=100)[98] * 1000


def requests(seed: int, number: int) -> Iterator[Request]:
    """The same ones for the same seed."""
    dice = random.Random(seed)  # noqa: S311
    ranks = range(1, 301)
    for kind in dice.choices(list(MIX), list(MIX.values()), k=number):
        [rank] = dice.choices(ranks, [1 / rank for rank in ranks])
        agent = rank % AGENTS + 1
        if kind == "agent":
            yield "GET", f"/api/agents/{agent}", None
        elif kind == "agents":
            yield "GET", "/api/agents", None
        elif kind == "workflow":
            yield "GET", f"/api/workflows/{WORKFLOWS + 1 - rank}", None
        elif kind == "result":
            yield "GET", f"/api/results/{TASKS + 1 - rank}", None
        elif kind == "redesign":
            design = {"name": f"agent {agent}", "model": dice.choice(["small", "large"]), "instructions": "Be brief."}
            yield "PUT", f"/api/agents/{agent}", design
        else:
            tasks = [{"agent": agent, "prompt": f"question {n}", "knowledge": f"topic-{n}"} for n in range(1, 4)]
            yield "POST", "/api/workflows", {"name": f"workflow {rank}", "tasks": tasks}


async def play(page: str, database: asyncpg.Connection, to_play: Iterator[Request]) -> Played:
    """Plays requests, some at the same time."""
    played = Played()

    async def browse(http: ClientSession) -> None:
        for method, path, body in to_play:
            begun = time.perf_counter()
            try:
                async with http.request(method, page + path, json=body) as answer:
                    await answer.read()
                    played.errors += answer.status >= 400
            except (ClientError, TimeoutError):
                played.errors += 1
            played.times.append(time.perf_counter() - begun)

    before = await database.fetchval(QUERIES)
    async with ClientSession() as http:
        await asyncio.gather(*(browse(http) for _ in range(AT_ONCE)))
    played.queries = await database.fetchval(QUERIES) - before
    return played


async def compare(page: str, url: str, switch: Callable[[bool], Awaitable[None]]) -> int:
    """Plays the same requests without cache and bus and with them, by turns; the exit code."""
    database = await counting(url)
    without, together = Played(), Played()
    for seed in range(ROUNDS):
        await switch(False)
        without.add(await play(page, database, requests(seed, REQUESTS)))
        await switch(True)
        await until(database, UNTOLD)
        together.add(await play(page, database, requests(seed, REQUESTS)))
    await until(database, "SELECT count(*) FROM workflow WHERE ended_at IS NULL")
    await database.close()
    print(f"\n{ROUNDS} times the same {REQUESTS} requests, {AT_ONCE} at a time\n")
    print(f"{'':24}{'without':>12}{'with':>12}{'ratio':>10}")
    rows = [
        ("median response, ms", without.median, together.median),
        ("99 % within, ms", without.p99, together.p99),
        ("database queries", without.queries, together.queries),
    ]
    for name, one, other in rows:
        print(f"{name:24}{one:12.1f}{other:12.1f}{other / one:10.2f}")
    print(f"{'errors':24}{without.errors:12}{together.errors:12}")
    reached = together.median <= MEDIAN_AIM * without.median and together.queries <= QUERIES_AIM * without.queries
    print(f"\n{'reached' if reached else 'MISSED'}: median at most {MEDIAN_AIM}, queries at most {QUERIES_AIM}")
    return 0 if reached and not without.errors + together.errors else 1


async def counting(url: str) -> asyncpg.Connection:
    """A connection to a database that counts what it is asked (`shared_preload_libraries=pg_stat_statements`)."""
    database = await asyncpg.connect(url)
    await database.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    return database


async def until(database: asyncpg.Connection, count: str) -> None:
    """Waits until there is none of it any more."""
    for _ in range(600):
        if not await database.fetchval(count):
            return
        await asyncio.sleep(0.1)
    sys.exit(f"a minute later there is still some of it: {count}")


def events_are_on() -> bool:
    """Whether the binding of the service that this runs beside says so."""
    contract = json.loads((Path(os.environ["CACHEBUS_BINDING"]) / "contract.json").read_text())
    return bool(contract["events"]["enabled"])


async def main(page: str) -> None:
    """Plays once, against services that run."""
    database = await counting(os.environ["DATABASE_URL"])
    if events_are_on():
        await until(database, UNTOLD)
    played = await play(page, database, requests(0, REQUESTS))
    await database.close()
    print(f"median {played.median:.1f} ms, {played.queries} database queries")
    if played.errors:
        sys.exit(f"{played.errors} of {REQUESTS} requests failed")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

"""Runs the family on one machine, with the bus that `cachebus dev` has made:

    cachebus dev -f config/samples/platform.yaml -- python examples/services/run.py
    cachebus dev -f config/samples/platform.yaml -- python examples/services/run.py load

`load` compares the services with cache and bus and without, `check` tries what README.md says, `picture FILE` keeps
what the page shows in Chromium.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import asyncpg
from aiohttp import ClientError, ClientSession

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
IN_RUST = ["agent_designer", "workflow_engine"]
SERVICES = [*IN_RUST, "ai_model", "dashboard"]

# PostgreSQL refuses to run as root.
NOBODY = 65534


class Family:
    """The four services, each with its own binding and nothing else."""

    def __init__(self, programs: Path, database: str, bindings: Path, ports: dict[str, int]) -> None:
        self._programs = programs
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self.database = database
        self.bindings = bindings
        self.urls = {name: f"http://{HOST}:{port}" for name, port in ports.items()}

    @property
    def page(self) -> str:
        """The dashboard."""
        return self.urls["dashboard"]

    async def start(self) -> None:
        """Starts all and waits until they answer."""
        for name in SERVICES:
            environment = {
                **os.environ,
                "CACHEBUS_BINDING": str(self.bindings / name),
                "DATABASE_URL": self.database,
                "LISTEN": self.urls[name].removeprefix("http://"),
                **{other.upper(): url for other, url in self.urls.items()},
            }
            program = [self._programs / name] if name in IN_RUST else [sys.executable, "-B", HERE / f"{name}.py"]
            self._running[name] = await asyncio.create_subprocess_exec(*program, env=environment)
        async with ClientSession() as http:
            for name in SERVICES:
                await self._answers(http, name)

    async def _answers(self, http: ClientSession, name: str) -> None:
        while self._running[name].returncode is None:
            with contextlib.suppress(ClientError):
                async with http.get(f"{self.urls[name]}/healthz"):
                    return
            await asyncio.sleep(0.1)
        sys.exit(f"{name} has ended")

    async def ended(self) -> None:
        """Returns when one of them has ended."""
        waits = [asyncio.ensure_future(process.wait()) for process in self._running.values()]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)

    async def stop(self) -> None:
        """Ends all, in their own time."""
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in self._running.values():
            await process.wait()

    async def switch(self, on: bool, services: Iterable[str] = SERVICES) -> None:
        """Cache and bus on or off, as `cache.enabled` and `events.enabled` of a CacheBus have it: while all run."""
        for name in services:
            file = self.bindings / name / "contract.json"
            contract = json.loads(file.read_text())
            contract["cache"]["enabled"] = contract["events"]["enabled"] = on
            rewrite(file, json.dumps(contract))
        # Clients look at it every second.
        await asyncio.sleep(1.5)


@contextlib.asynccontextmanager
async def family(folder: Path, page_port: int = 0, bus_port: int | None = None) -> AsyncIterator[Family]:
    """The running family, on a database that has been filled. `bus_port`: by another way than the bindings say."""
    bindings = folder / "bindings"
    shutil.copytree(os.environ["SERVICE_BINDING_ROOT"], bindings)
    if bus_port is not None:
        for name in SERVICES:
            rewrite(bindings / name / "port", str(bus_port))
    ports = {name: free_port() for name in SERVICES}
    ports["dashboard"] = page_port or ports["dashboard"]
    programs = built()
    async with database(folder) as url:
        await fill(url)
        running = Family(programs, url, bindings, ports)
        try:
            await running.start()
            yield running
        finally:
            await running.stop()


def built() -> Path:
    """The folder of the services in Rust: `SERVICES_PROGRAMS`, else Cargo builds them."""
    if folder := os.environ.get("SERVICES_PROGRAMS"):
        return Path(folder)
    cargo = ["cargo", "build", "--quiet", "--release", "--package", "cachebus-example-services"]
    root = HERE.parents[1]
    subprocess.run(cargo, cwd=root, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", root / "target")) / "release"


@contextlib.asynccontextmanager
async def database(folder: Path) -> AsyncIterator[str]:
    """The PostgreSQL that `DATABASE_URL` names, which must hold nothing; else one that lives as long as this."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    programs, port = postgres_programs(), free_port()
    data = folder / "postgres"
    data.mkdir()
    user: dict[str, int] = {}
    if os.geteuid() == 0:
        user = {"user": NOBODY, "group": NOBODY}
        folder.chmod(0o711)
        os.chown(data, NOBODY, NOBODY)
    options = ["--auth=trust", "--username=postgres", "--locale=C", "--encoding=UTF8", "--no-sync"]
    initdb = [programs / "initdb", *options, "--pgdata", data / "data"]
    subprocess.run(initdb, cwd="/", check=True, stdout=subprocess.DEVNULL, **user)  # type: ignore[call-overload]
    where = ["-D", data / "data", "-k", data, "-h", HOST, "-p", str(port)]
    settings = ["-F", "-c", "shared_preload_libraries=pg_stat_statements", "-c", "log_min_messages=fatal"]
    server = await asyncio.create_subprocess_exec(programs / "postgres", *where, *settings, cwd="/", **user)
    url = f"postgres://postgres@{HOST}:{port}/postgres"
    try:
        while True:
            with contextlib.suppress(OSError, asyncpg.CannotConnectNowError):
                await (await asyncpg.connect(url)).close()
                break
            await asyncio.sleep(0.1)
        yield url
    finally:
        server.terminate()
        await server.wait()


def postgres_programs() -> Path:
    """Where `initdb` and `postgres` are: on PATH, or where Debian puts them."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    found_by_version = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found_by_version:
        sys.exit("no PostgreSQL: put its programs on PATH, or name a database by DATABASE_URL")
    return found_by_version[-1].parent


async def fill(url: str) -> None:
    """Makes the tables and what the family has done so far."""
    connection = await asyncpg.connect(url)
    for script in ("schema.sql", "seed.sql"):
        await connection.execute((HERE / script).read_text())
    await connection.close()


def rewrite(file: Path, text: str) -> None:
    """Nobody reads half of it."""
    written = file.with_suffix(".new")
    written.write_text(text)
    written.replace(file)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def serve(folder: Path, page_port: int) -> None:
    """Until it is interrupted, or a service ends."""
    async with family(folder, page_port) as running:
        print(f"\n{running.page}\n", flush=True)
        await running.ended()


async def show(folder: Path, file: Path) -> int:
    """Writes a picture of the page while there is something to see; the exit code."""
    # They are started by this module.
    import chromium
    import load
    import look

    program = chromium.program()
    if program is None:
        sys.exit("no Chromium: apt-get install chromium, or another one on PATH")
    async with family(folder) as running:

        async def others() -> None:
            database = await load.counting(running.database)
            await load.play(running.page, database, load.requests(0, 600))
            await database.close()

        await look.picture(program, running.page, file, others)
    return 0


async def main() -> int:
    """Does what is asked for; the exit code."""
    # They are started by this module.
    import check
    import load

    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", nargs="?", choices=["serve", "load", "check", "picture"], default="serve")
    arguments.add_argument("file", nargs="?", type=Path, help="of the picture, PNG")
    arguments.add_argument("--port", type=int, default=8080, help="the page's (default: 8080)")
    given = arguments.parse_args()
    if (given.what == "picture") != (given.file is not None):
        arguments.error("a picture has a file, and nothing else has")
    if "SERVICE_BINDING_ROOT" not in os.environ:
        sys.exit("there is no bus: cachebus dev -f config/samples/platform.yaml -- python examples/services/run.py")
    with tempfile.TemporaryDirectory() as folder:
        if given.what == "load":
            async with family(Path(folder)) as running:
                return await load.compare(running.page, running.database, running.switch)
        if given.what == "check":
            return await check.check(Path(folder))
        if given.what == "picture":
            return await show(Path(folder), given.file)
        await serve(Path(folder), given.port)
        return 1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(main()))

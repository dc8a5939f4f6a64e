"""Real servers in containers."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import redis

# Images of the engines that the contract has to hold on. Each has to contain redis-server or valkey-server.
IMAGES = os.environ.get("CACHEBUS_TEST_IMAGES", "localhost/redis:7.0 localhost/redis:8.0 localhost/valkey:9.1").split()
LIBRARY = Path(__file__).parents[3] / "functions" / "cachebus.lua"
ADMIN_PASSWORD = "of-the-tests"
# Each of several processes that test at once has ports of its own.
FIRST_PORT = 17100 + 1000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def eventually(condition: Callable[[], object], within: float = 30.0) -> None:
    """Waits until ``condition`` holds; it may raise while it does not."""
    deadline = time.monotonic() + within
    while True:
        try:
            if condition():
                return
            problem: Exception = AssertionError("still false")
        except (redis.RedisError, AssertionError) as error:
            problem = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s") from problem
        time.sleep(0.02)


_ports = itertools.count(FIRST_PORT + os.getpid() % 300)


def free_port() -> int:
    """A port that nothing listens on and that was not handed out before."""
    for port in itertools.islice(_ports, 500):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")


class Server:
    """One server, whose data outlive its process."""

    def __init__(self, image: str, folder: Path, *settings: str) -> None:
        self.image = image
        self.folder = folder
        self.settings = settings
        self.port = free_port()
        self.name = ""
        self._admin: redis.Redis | None = None

    @property
    def valkey(self) -> bool:
        return "valkey" in self.image

    def start(self) -> Server:
        program = "valkey-server" if self.valkey else "redis-server"
        self.name = f"contract-{uuid.uuid4().hex[:12]}"
        command = ["docker", "run", "-d", "--rm", "--name", self.name, "--network", "host"]
        command += ["-v", f"{self.folder}:{self.folder}", "--entrypoint", program, self.image]
        command += ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        users = self.folder / "users.acl"
        if not users.exists():
            users.write_text(f"user default on >{ADMIN_PASSWORD} ~* &* +@all\n")
        command += ["--aclfile", str(users), "--acl-pubsub-default", "resetchannels"]
        subprocess.run([*command, *self.settings], check=True, capture_output=True)
        eventually(lambda: self.admin().ping(), within=30)
        return self

    def stop(self) -> None:
        """Kills the server without a warning."""
        if self.name:
            subprocess.run(["docker", "kill", self.name], check=False, capture_output=True)
            subprocess.run(["docker", "wait", self.name], check=False, capture_output=True)
            self.name = ""
        if self._admin is not None:
            self._admin.close()
            self._admin = None

    def freeze(self) -> None:
        """Has the server answer nothing, with its connections open."""
        subprocess.run(["docker", "pause", self.name], check=True, capture_output=True)

    def thaw(self) -> None:
        subprocess.run(["docker", "unpause", self.name], check=True, capture_output=True)

    def admin(self) -> redis.Redis:
        """A client that may do everything; closed with the server."""
        if self._admin is None:
            self._admin = self.client("default", ADMIN_PASSWORD)
        return self._admin

    def client(self, user: str, password: str) -> redis.Redis:
        """A plain client, which the caller closes."""
        return redis.Redis(
            host="127.0.0.1", port=self.port, username=user, password=password, protocol=2, decode_responses=True
        )

    def load(self) -> None:
        """Loads the function library."""
        self.admin().function_load(LIBRARY.read_text(), replace=True)

"""A primary, a replica and a Sentinel."""

from __future__ import annotations

import subprocess
import uuid
from pathlib import Path
from types import TracebackType

import redis

import contracts
import rights
from cachebus import Source
from cachebus.binding import Binding
from cachebus.contract import Contract
from engines import ADMIN_PASSWORD, Server, eventually, free_port

NAME = "platform-of-the-tests"


class Deployment:
    """Two servers with the library and the service's user, watched by one Sentinel."""

    def __init__(self, image: str, folder: Path, *, confirm: int = 0) -> None:
        self._folder = folder
        self._servers = []
        self._confirm = confirm
        for name in ("one", "two"):
            (folder / name).mkdir()
            self._servers.append(Server(image, folder / name, "--save", "", "--masterauth", ADMIN_PASSWORD))
        self._sentinel = ""
        self._port = 0

    @property
    def replica(self) -> Server:
        return self._servers[1]

    def source(self) -> Source:
        document = contracts.document()
        if self._confirm:
            document["durability"] = {
                "mode": "quorum",
                "confirm": {"command": "WAIT", "replicas": self._confirm, "timeoutMs": 700},
            }
        return _Fixed(self._port, contracts.json.dumps(document))

    def fail_over(self) -> None:
        """Kills the primary and waits until Sentinel has replaced it: 30 s later where it had been kept waiting."""
        self._servers[0].stop()
        eventually(lambda: self.replica.admin().role()[0] == "master", within=90)

    def __enter__(self) -> Deployment:
        primary, replica = self._servers
        primary.start()
        replica.start()
        primary.load()
        replica.admin().replicaof("127.0.0.1", primary.port)
        for server in self._servers:
            rights.grant(server.admin(), rights.granted())
        eventually(lambda: primary.admin().info("replication")["connected_slaves"] == 1, within=30)
        eventually(lambda: replica.admin().info("replication")["master_link_status"] == "up", within=30)
        self._start_sentinel(primary)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sentinel:
            subprocess.run(["docker", "kill", self._sentinel], check=False, capture_output=True)
        for server in self._servers:
            server.stop()

    def _start_sentinel(self, primary: Server) -> None:
        self._port = free_port()
        self._sentinel = f"contract-{uuid.uuid4().hex[:12]}"
        config = self._folder / "sentinel.conf"
        config.write_text(
            f"port {self._port}\nbind 127.0.0.1\nrequirepass {ADMIN_PASSWORD}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {primary.port} 1\n"
            f"sentinel auth-pass {NAME} {ADMIN_PASSWORD}\n"
            f"sentinel down-after-milliseconds {NAME} 500\n"
            # On a machine that was busy the first attempt may find no replica that was heard of lately.
            f"sentinel failover-timeout {NAME} 1000\n"
        )
        program = "valkey-server" if primary.valkey else "redis-server"
        command = ["docker", "run", "-d", "--rm", "--name", self._sentinel, "--network", "host"]
        command += ["-v", f"{self._folder}:{self._folder}", "--entrypoint", program, primary.image]
        subprocess.run([*command, str(config), "--sentinel"], check=True, capture_output=True)
        sentinel = redis.Redis(port=self._port, password=ADMIN_PASSWORD, protocol=2, decode_responses=True)
        eventually(sentinel.ping, within=30)
        commands = ["client|getname", "client|id", "client|setname", "ping", "role", "sentinel|master"]
        rules = ["reset", "on", f">{rights.PASSWORD}", "resetchannels", "-@all"]
        sentinel.execute_command("ACL", "SETUSER", rights.SERVICE, *rules, *(f"+{word}" for word in commands))
        eventually(lambda: sentinel.sentinel_master(NAME)["num-slaves"] == 1, within=30)
        sentinel.close()


class _Fixed:
    """A binding that does not change."""

    def __init__(self, sentinel_port: int, contract: str) -> None:
        self._binding = Binding(
            address=("127.0.0.1", 1),
            username=rights.SERVICE,
            password=rights.PASSWORD,
            tls=False,
            ca_pem=None,
            sentinels=(("127.0.0.1", 1), ("127.0.0.1", sentinel_port)),
            master_name=NAME,
            contract=Contract.parse(contract),
        )

    def load(self) -> Binding:
        return self._binding

    def fingerprint(self) -> object:
        return None

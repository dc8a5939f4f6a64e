"""A real PostgreSQL in a container."""

from __future__ import annotations

import itertools
import os
import subprocess
import uuid

import psycopg

from engines import eventually, free_port

# An image that contains PostgreSQL as Debian packages it; empty: tests that need one are left out.
IMAGE = os.environ.get("CACHEBUS_TEST_POSTGRES_IMAGE", "")
# It refuses to run as root. Its files go with the container.
START = """
    cd /tmp
    PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
    test -d data || initdb --auth=trust --username=postgres --locale=C --encoding=UTF8 --no-sync --pgdata data
    exec postgres -h 127.0.0.1 -p "$0" -F -k /tmp -D data
"""


class Postgres:
    """One server, whose data outlive its process."""

    def __init__(self) -> None:
        self._port = free_port()
        self._name = f"contract-{uuid.uuid4().hex[:12]}"
        self._databases = itertools.count(1)

    def start(self) -> Postgres:
        command = ["docker", "run", "-d", "--name", self._name, "--network", "host", "--user", "nobody"]
        command += ["--entrypoint", "sh", IMAGE, "-euc", START, str(self._port)]
        subprocess.run(command, check=True, capture_output=True)
        self._await()
        return self

    def crash_and_return(self) -> None:
        subprocess.run(["docker", "kill", self._name], check=True, capture_output=True)
        subprocess.run(["docker", "start", self._name], check=True, capture_output=True)
        self._await()

    def remove(self) -> None:
        subprocess.run(["docker", "rm", "-f", "-v", self._name], check=False, capture_output=True)

    def database(self) -> str:
        """The conninfo of a database of a test's own."""
        name = f"test_{next(self._databases)}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as database:
            database.execute(f"CREATE DATABASE {name}")
        return self._conninfo(name)

    def _conninfo(self, name: str) -> str:
        return f"host=127.0.0.1 port={self._port} user=postgres dbname={name}"

    def _await(self) -> None:
        def answers() -> bool:
            try:
                psycopg.connect(self._conninfo("postgres")).close()
            except psycopg.OperationalError:
                return False
            return True

        eventually(answers, within=60)

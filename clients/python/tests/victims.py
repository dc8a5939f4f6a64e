"""A consumer in a process of its own, to be killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).parent
PROGRAM = """
import sys, time
import contracts, rights
from cachebus import CacheBus, ConsumerOptions, Url

url = f"redis://{rights.SERVICE}:{rights.PASSWORD}@127.0.0.1:{sys.argv[1]}/0"

def handle(event):
    print(event.data["n"], flush=True)
    time.sleep(0.02)

with CacheBus(Url(url, contracts.text())) as bus:
    bus.events.consumer({"task:created": handle}, ConsumerOptions(name="victim", block=0.1)).run()
"""


class Victim:
    """Handles events until it is killed, and says which."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(port)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{HERE}:{HERE.parent / 'src'}"},
        )
        self._lines: list[str] = []

    def await_output(self) -> None:
        assert self._process.stdout is not None
        self._lines.append(self._process.stdout.readline().strip())

    def kill(self) -> None:
        self._process.kill()
        rest, _ = self._process.communicate()
        self._lines += rest.split()

    def handled(self) -> list[str]:
        return self._lines

    def __enter__(self) -> Victim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.kill()

"""What all contenders store and ask for."""

from __future__ import annotations

import random
from typing import Any

# The keyspace and the channels of clients/bench.yaml.
KEYSPACE = "agent"
LIVE = "agent:updated"
DURABLE = "task:created"
# Seconds that values live.
TTL = 3600
# Values that are there while reads are measured.
VALUES = 2000


class Ids:
    """Draws ids of values that are there. Each loop has its own, and the same whoever's turn it is."""

    def __init__(self, number: int) -> None:
        self._random = random.Random(number)

    def draw(self) -> int:
        """The next one."""
        return self._random.randrange(VALUES)


def agent(id: int) -> dict[str, Any]:
    """A value: about 300 bytes of JSON."""
    return {
        "id": id,
        "name": f"agent {id}",
        "model": "large-2026-05",
        "state": "idle",
        "tags": ["search", "billing", "internal"],
        "instructions": "x" * 140,
    }


def key(id: int) -> str:
    """The keyspace's key, for whoever has to make it himself."""
    return f"{KEYSPACE}:{id}"


def told(id: int) -> dict[str, Any]:
    """What an event tells."""
    return {"id": id, "name": f"agent {id}", "state": "idle"}

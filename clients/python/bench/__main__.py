"""``python -m bench``, told where the bus is: measures, and prints all figures as one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
from pathlib import Path

from .cache import gets, gets_of_threads, read_through
from .emits import emits
from .handlers import handlers
from .memory import connections
from .place import Place
from .summary import Figure, written


async def measured(place: Place, rounds: int) -> list[Figure]:
    return [
        *await gets(place, rounds),
        *await gets_of_threads(place, rounds),
        *await read_through(place, rounds),
        *await emits(place, rounds),
        *await handlers(place, rounds),
        await connections(place),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="where the server speaks plain text")
    parser.add_argument("--tls-port", type=int, required=True, help="where it speaks TLS")
    parser.add_argument("--ca", type=Path, required=True, help="certificate of the authority that has signed its own")
    parser.add_argument("--rounds", type=int, default=5, help="of each comparison")
    options = parser.parse_args()
    binding = Path(os.environ["CACHEBUS_BINDING"])
    with tempfile.TemporaryDirectory() as folder:
        place = Place(binding, Path(folder), options.port, options.tls_port, options.ca)
        print(written(asyncio.run(measured(place, options.rounds))))


if __name__ == "__main__":
    main()

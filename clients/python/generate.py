"""Makes the client for threads, and its tests, from those for asyncio, and the list of what the package offers.

With ``--check``: fails where that would change them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "src"))
# Nothing is left in the source.
sys.dont_write_bytecode = True

import public_api  # noqa: E402

FOLDERS = {
    HERE / "src" / "cachebus" / "_async": HERE / "src" / "cachebus" / "_sync",
    HERE / "tests" / "aio": HERE / "tests" / "threads",
}
# Written by hand for each.
TWINS = {"__init__.py", "primitives.py", "twins.py"}

RULES = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"``async (with|for)``", r"``\1``"),
    (r"\bawait ", ""),
    (r"__a(enter|exit|iter|next)__", r"__\1__"),
    (r"cachebus\._async", "cachebus._sync"),
    (r"from cachebus\.aio import", "from cachebus import"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\bpsycopg\.AsyncConnection\b", "psycopg.Connection"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\bAwaitable\[((?:[^\[\]]|\[[^\[\]]*\])*)\]", r"\1"),
    (r"from collections\.abc import (.*)\bAwaitable, ", r"from collections.abc import \1"),
]


def generated(source: Path, target: Path) -> str:
    """The text of the twin of a file."""
    text = source.read_text()
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    text = _ruff(text, "check", "--select", "I", "--fix", "-q", "--stdin-filename", str(target), "-")
    return _ruff(text, "format", "--stdin-filename", str(target), "-")


def _ruff(text: str, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "ruff", *arguments], input=text, capture_output=True, text=True, check=True
    ).stdout


def files() -> Iterator[tuple[Path, str]]:
    """What is made, each with its text."""
    for folder, twin in FOLDERS.items():
        for source in sorted(folder.glob("*.py")):
            if source.name not in TWINS:
                target = twin / source.name
                yield target, generated(source, target)
    yield HERE / "public-api.txt", public_api.listing()


def main() -> int:
    stale = []
    for target, text in files():
        if not target.exists() or target.read_text() != text:
            stale.append(str(target.relative_to(HERE)))
            if "--check" not in sys.argv:
                target.write_text(text)
    if stale and "--check" in sys.argv:
        print("stale:", *stale)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

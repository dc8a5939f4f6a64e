"""Makes ``cachebus._sync`` from ``cachebus._async``. With ``--check``: fails where that would change it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parent / "src" / "cachebus" / "_async"
TARGET = SOURCE.parent / "_sync"
# Written by hand for each.
TWINS = {"__init__.py", "primitives.py"}

RULES = [
    (r"\basync (def|with|for)\b", r"\1"),
    (r"``async (with|for)``", r"``\1``"),
    (r"\bawait ", ""),
    (r"__a(enter|exit|iter|next)__", r"__\1__"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\bAwaitable\[((?:[^\[\]]|\[[^\[\]]*\])*)\]", r"\1"),
    (r"from collections\.abc import (.*)\bAwaitable, ", r"from collections.abc import \1"),
]


def generated(source: Path) -> str:
    """The text of the twin of a file."""
    text = source.read_text()
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    command = ["ruff", "format", "--stdin-filename", str(TARGET / source.name), "-"]
    ruff = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    command = ["ruff", "check", "--select", "I", "--fix", "-q", "--stdin-filename", command[3], "-"]
    ruff = subprocess.run(command, input=ruff.stdout, capture_output=True, text=True, check=True)
    return ruff.stdout


def main() -> int:
    stale = []
    for source in sorted(SOURCE.glob("*.py")):
        if source.name in TWINS:
            continue
        target, text = TARGET / source.name, generated(source)
        if not target.exists() or target.read_text() != text:
            stale.append(target.name)
            if "--check" not in sys.argv:
                target.write_text(text)
    if stale and "--check" in sys.argv:
        print("stale:", *stale)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

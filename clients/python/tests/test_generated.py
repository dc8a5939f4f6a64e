"""The client for threads is the one for asyncio, and what the package offers is what its list says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_nothing_is_stale() -> None:
    generate = Path(__file__).parents[1] / "generate.py"
    result = subprocess.run([sys.executable, str(generate), "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr

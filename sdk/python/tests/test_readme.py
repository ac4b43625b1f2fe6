"""The Python of the README runs as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import Server

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.M)


@pytest.mark.parametrize("block", BLOCKS)
def test_block(block: str, server: Server) -> None:
    env = {**os.environ, "MEMTRACE_URL": server.url, "MEMTRACE_API_KEY": server.key}
    done = subprocess.run([sys.executable, "-c", block], env=env, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    assert b"Error" not in done.stderr

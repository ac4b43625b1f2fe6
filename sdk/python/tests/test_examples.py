"""The examples, as their run.sh starts them, with this interpreter and a server of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import Server, unique

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


def run(name: str, server: Server) -> str:
    env = {
        **os.environ,
        "PYTHON": sys.executable,
        "MEMTRACE_URL": server.url,
        "MEMTRACE_API_KEY": server.key,
    }
    command = [str(EXAMPLES / name / "run.sh"), unique("example")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("--- a new process ---")[2]


def test_python(server: Server) -> None:
    second = run("python", server)
    assert "page_crawled: /: Welcome to the shop" in second
    assert "page_crawled: /lamps: 3 lamps, from 19 EUR" in second
    assert "reasoning: the budget is 2 pages a run" in second
    assert second.endswith("crawled: /chairs\nfailed:  /jobs\n")


@pytest.mark.adapter
@pytest.mark.parametrize(
    ("name", "module"), [("openai-agents", "agents"), ("langgraph", "langgraph")]
)
def test_frameworks(name: str, module: str, server: Server) -> None:
    pytest.importorskip(module)
    second = run(name, server)
    assert "agent: You asked before: Crawl the lamps." in second
    assert "You crawl a shop.\n\n## Session Context" in second
    assert "The shop has 3 lamps, from 19 EUR" in second

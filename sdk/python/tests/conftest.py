"""A real server for the tests, started from the checkout's built program."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import Server

from memtrace_client import Memtrace


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    running = Server()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_server() -> Iterator[Server]:
    """One to be killed."""
    running = Server()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Memtrace]:
    with Memtrace(server.url, server.key) as made:
        yield made

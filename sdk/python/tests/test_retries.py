"""Retries: what is sent again, with what, and when."""

from __future__ import annotations

import asyncio
import json
from email.utils import formatdate
from time import monotonic, time

import pytest
from support import Reply, Server, free_port, scripted, unique

import memtrace_client as m
from memtrace_client import AsyncMemtrace, Memtrace, _backoff
from memtrace_client.errors import retry_after_seconds

MEMORY = json.dumps(
    {
        "id": "mem_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "org_id": "o",
        "agent_id": "a",
        "memory_type": "episodic",
        "event_type": "general",
        "content": "x",
        "importance": 0,
        "time": "2026-11-21T08:15:00.000000Z",
        "ingested_at": "2026-11-21T08:15:00.000000Z",
    }
).encode()
STORED = Reply(201, MEMORY)
LOST = Reply(0)


def refusal(status: int, code: str, retry_after: str | None = None) -> Reply:
    body = json.dumps({"error": code, "code": code, "request_id": "r1", "hint": "h"}).encode()
    return Reply(status, body, {} if retry_after is None else {"retry-after": retry_after})


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "BASE", 0.01)


def test_a_write_is_repeated_with_the_same_bytes_and_key() -> None:
    replies = (LOST, refusal(503, "overloaded", "0"), refusal(429, "rate_limited"), STORED)
    with scripted(*replies) as (url, seen), Memtrace(url, "k") as client:
        client.remember("a", "x")
    assert len(seen) == 4
    assert len({one.headers["idempotency-key"] for one in seen}) == 1
    assert len({one.body for one in seen}) == 1
    assert seen[0].headers["x-api-key"] == "k"


def test_async_repeats_alike() -> None:
    async def main(url: str) -> None:
        async with AsyncMemtrace(url, "k") as client:
            await client.remember("a", "x")
            await client.memories.add({"agent_id": "a", "content": "x"}, idempotency_key="mine")

    with scripted(LOST, refusal(503, "draining"), STORED) as (url, seen):
        asyncio.run(main(url))
    assert len({one.headers["idempotency-key"] for one in seen[:3]}) == 1
    assert seen[3].headers["idempotency-key"] == "mine"


def test_retry_after_is_honoured_and_a_long_one_is_told() -> None:
    with scripted(refusal(429, "rate_limited", "1"), STORED) as (url, _), Memtrace(url) as client:
        started = monotonic()
        client.remember("a", "x")
        assert monotonic() - started >= 1.0
    with scripted(refusal(429, "rate_limited", "3600")) as (url, seen), Memtrace(url) as client:
        with pytest.raises(m.RateLimitError) as limited:
            client.remember("a", "x")
        assert limited.value.retry_after == 3600
        assert len(seen) == 1


def test_what_is_not_repeated() -> None:
    for status, code, kind in [
        (400, "invalid_field", m.InvalidRequestError),
        (401, "invalid_api_key", m.AuthenticationError),
        (409, "duplicate_memory", m.DuplicateMemoryError),
        (413, "body_too_large", m.TooLargeError),
        (422, "idempotency_key_reused", m.IdempotencyKeyReusedError),
        (500, "internal", m.ServerError),
        (302, "elsewhere", m.InvalidResponseError),
    ]:
        with scripted(refusal(status, code)) as (url, seen), Memtrace(url) as client:
            with pytest.raises(kind) as raised:
                client.remember("a", "x")
            error = raised.value
            assert (error.status, error.code, error.request_id, error.hint) == (
                status,
                code,
                "r1",
                "h",
            )
            assert len(seen) == 1


def test_a_key_is_not_made_twice() -> None:
    with scripted(LOST) as (url, seen), Memtrace(url) as client:
        with pytest.raises(m.APIConnectionError):
            client.keys.create("k")
        assert len(seen) == 1


def test_a_deletion_whose_answer_was_lost_is_done() -> None:
    gone = refusal(404, "not_found")
    with scripted(LOST, gone) as (url, _), Memtrace(url) as client:
        client.memories.delete("mem_1")
    with scripted(gone) as (url, _), Memtrace(url) as client, pytest.raises(m.NotFoundError):
        client.memories.delete("mem_1")


def test_retries_end() -> None:
    with scripted(refusal(503, "overloaded")) as (url, seen), Memtrace(url, retries=2) as client:
        with pytest.raises(m.UnavailableError):
            client.recall("a").page()
        assert len(seen) == 3
        with pytest.raises(m.UnavailableError):
            client.with_options(retries=0).recall("a").page()
        assert len(seen) == 4
    nobody = f"http://127.0.0.1:{free_port()}"
    with Memtrace(nobody, retries=1) as client, pytest.raises(m.APIConnectionError):
        client.health()


def test_timeouts() -> None:
    slow = Reply(201, MEMORY, {}, 0.5)
    with scripted(slow) as (url, _), Memtrace(url, timeout=0.05, retries=0) as client:
        with pytest.raises(m.APITimeoutError) as late:
            client.remember("a", "x")
        assert late.value.code == "timeout"


def test_what_is_no_memtrace() -> None:
    html = Reply(200, b"<html>", {"content-type": "text/html"})
    with scripted(html) as (url, _), Memtrace(url) as client:
        with pytest.raises(m.InvalidResponseError):
            client.recall("a").page()
        with pytest.raises(m.CutStreamError):
            list(client.memories.export())
    with scripted(Reply(200, MEMORY + b"\n")) as (url, _), Memtrace(url) as client:
        stream = client.memories.export()
        assert next(stream).content == "x"
        with pytest.raises(m.CutStreamError):
            next(stream)


def test_a_retry_stores_once(server: Server) -> None:
    """Against the real server: the same key twice is one memory, another body is refused."""
    agent = unique("idem")
    with Memtrace(server.url, server.key) as client:
        event = {"agent_id": agent, "content": "once"}
        first = client.memories.add(event, idempotency_key=agent)
        again = client.memories.add(event, idempotency_key=agent)
        assert first.id == again.id
        with pytest.raises(m.IdempotencyKeyReusedError):
            client.memories.add({**event, "content": "other"}, idempotency_key=agent)
        session = client.sessions.create(agent, idempotency_key=agent)
        assert client.sessions.create(agent, idempotency_key=agent).id == session.id
        assert client.recall(agent).page().count == 1


def test_the_wait_grows_and_is_jittered() -> None:
    waits = [[_backoff.backoff(failures) for _ in range(200)] for failures in (1, 4, 50)]
    for values, ceiling in zip(waits, (0.01, 0.08, 5.0), strict=True):
        assert 0 <= min(values) <= ceiling * 0.2
        assert ceiling * 0.8 <= max(values) <= ceiling
    assert _backoff.backoff(1, 7.0) >= 7.0


def test_retry_after_formats() -> None:
    assert retry_after_seconds("1.5") == 1.5
    assert retry_after_seconds("-3") == 0
    assert retry_after_seconds(None) is None
    assert retry_after_seconds("soon") is None
    assert 8 < (retry_after_seconds(formatdate(time() + 10, usegmt=True)) or 0) <= 10


def test_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMTRACE_URL", "http://example.test:1/")
    monkeypatch.setenv("MEMTRACE_API_KEY", "mtk_env")
    with Memtrace() as client:
        assert client.base_url == "http://example.test:1"
        assert client._transport.settings.api_key == "mtk_env"

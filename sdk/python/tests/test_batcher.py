"""The batchers: exactly once over kill -9, bounded memory, honest flush and close."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from pydantic import ValidationError
from support import KEY, Reply, Server, free_port, scripted, unique

import memtrace_client as m
from memtrace_client import AsyncMemtrace, Memtrace, _backoff
from memtrace_client._delivery import BatcherOptions, Clock, Lane

ACKNOWLEDGED = Reply(201, b'{"memories":[],"count":0,"duplicates":0}')


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_backoff, "BASE", 0.02)
    monkeypatch.setattr(_backoff, "CEILING", 0.3)


def contents(server: Server, agent: str) -> list[str]:
    with Memtrace(server.url, server.key) as client:
        return [one.content for one in client.memories.export(agent_id=agent)]


def test_all_arrive_in_order_also_equal_ones(server: Server) -> None:
    agent = unique("batcher")
    with Memtrace(server.url, server.key) as client, client.batcher(max_items=100) as batcher:
        for n in range(1_000):
            batcher.add({"agent_id": agent, "content": f"event {n // 2}"})
        batcher.flush()
        stats = batcher.stats
        assert (stats.added, stats.acknowledged, stats.duplicates) == (1_000, 1_000, 0)
        assert stats.buffered_bytes == 0
    assert contents(server, agent) == [f"event {n // 2}" for n in range(1_000)]


def test_an_event_is_sent_after_its_delay(server: Server) -> None:
    agent = unique("delay")
    with Memtrace(server.url, server.key) as client, client.batcher(max_delay=0.02) as batcher:
        batcher.add(m.MemoryInput(agent_id=agent, content="alone"))
        deadline = time.monotonic() + 10
        while batcher.stats.acknowledged == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert batcher.stats.acknowledged == 1


def test_kill_9_and_restart_sync(own_server: Server) -> None:
    """Four threads add while the server is killed and restarted twice: each event is there once."""
    agents = [unique("kill") for _ in range(4)]
    each = 1_500
    client = Memtrace(own_server.url, own_server.key)
    batcher = client.batcher(max_items=50, max_delay=0.005, max_buffered_bytes=200_000)

    def produce(agent: str) -> None:
        for n in range(each):
            batcher.add({"agent_id": agent, "content": f"event {n}"})
            if n % 50 == 0:
                time.sleep(0.03)

    threads = [threading.Thread(target=produce, args=(agent,)) for agent in agents]
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(0.25)
        own_server.kill()
        time.sleep(0.2)
        own_server.start()
    for thread in threads:
        thread.join()
    batcher.close()
    client.close()
    assert batcher.stats.acknowledged == 4 * each
    own_server.kill()
    own_server.start()
    for agent in agents:
        assert contents(own_server, agent) == [f"event {n}" for n in range(each)]


def test_kill_9_and_restart_async(own_server: Server) -> None:
    agents = [unique("kill-async") for _ in range(3)]
    each = 1_500

    async def main() -> m.BatcherStats:
        async with AsyncMemtrace(own_server.url, own_server.key) as client:
            batcher = client.batcher(max_items=50, max_delay=0.005, max_buffered_bytes=200_000)

            async def produce(agent: str) -> None:
                for n in range(each):
                    await batcher.add({"agent_id": agent, "content": f"event {n}"})
                    if n % 50 == 0:
                        await asyncio.sleep(0.03)

            producers = asyncio.gather(*map(produce, agents))
            for _ in range(2):
                await asyncio.sleep(0.25)
                await asyncio.to_thread(own_server.kill)
                await asyncio.sleep(0.2)
                await asyncio.to_thread(own_server.start)
            await producers
            await batcher.close()
            return batcher.stats

    assert asyncio.run(main()).acknowledged == 3 * each
    own_server.kill()
    own_server.start()
    for agent in agents:
        assert contents(own_server, agent) == [f"event {n}" for n in range(each)]


def test_a_lost_answer_is_asked_for_again_with_the_same_key() -> None:
    with scripted(Reply(0), Reply(503), ACKNOWLEDGED) as (url, seen):
        with Memtrace(url) as client, client.batcher(lanes=1) as batcher:
            batcher.add({"agent_id": "a", "content": "x"})
    assert len(seen) == 3
    assert len({(one.body, one.headers["idempotency-key"]) for one in seen}) == 1


def test_a_bad_event_is_told_and_the_others_are_stored(server: Server) -> None:
    agent = unique("bad")
    told: list[tuple[Exception, list[dict[str, Any]]]] = []
    with Memtrace(server.url, server.key) as client:
        batcher = client.batcher(on_error=lambda error, events: told.append((error, events)))
        for n in range(10):
            event_type = "not a type" if n in (3, 7) else "step"
            batcher.add({"agent_id": agent, "content": f"e{n}", "event_type": event_type})
        with pytest.raises(m.DeliveryError) as failed:
            batcher.flush()
        assert failed.value.failed == 2
        assert [events[0]["content"] for _, events in told] == ["e3", "e7"]
        assert isinstance(told[0][0], m.InvalidRequestError)
        batcher.flush()
        batcher.close()
        with pytest.raises(ValidationError):
            batcher.add({"agent_id": agent})
        with pytest.raises(m.BatcherClosedError):
            batcher.add({"agent_id": agent, "content": "late"})
    assert contents(server, agent) == [f"e{n}" for n in range(10) if n not in (3, 7)]


def test_a_batch_too_large_for_the_server_is_split() -> None:
    large = Reply(413, b'{"error":"too large","code":"body_too_large","request_id":"r"}')
    with scripted(large, ACKNOWLEDGED) as (url, seen):
        with Memtrace(url) as client, client.batcher(lanes=1) as batcher:
            for n in range(4):
                batcher.add({"agent_id": "a", "content": f"x{n}"})
            batcher.flush()
            assert batcher.stats.acknowledged == 4
    sizes = [len(json.loads(one.body)["memories"]) for one in seen]
    assert sizes == [4, 2, 2]


def test_a_revoked_key_fails_at_once() -> None:
    no = Reply(401, b'{"error":"invalid API key","code":"invalid_api_key","request_id":"r"}')
    with scripted(no) as (url, seen), Memtrace(url) as client:
        batcher = client.batcher()
        batcher.add({"agent_id": "a", "content": "x"})
        with pytest.raises(m.DeliveryError) as failed:
            batcher.close()
        assert (failed.value.code, failed.value.failed, len(seen)) == ("invalid_api_key", 1, 1)


def test_full_and_drop() -> None:
    dropped: list[Any] = []
    unreachable = f"http://127.0.0.1:{free_port()}"
    with Memtrace(unreachable) as client:
        batcher = client.batcher(max_buffered_bytes=1_000, policy="drop", on_drop=dropped.append)
        for n in range(100):
            batcher.add({"agent_id": "a", "content": f"event {n}"})
        stats = batcher.stats
        assert stats.added + stats.dropped == 100
        assert 0 < stats.buffered_bytes <= 1_000
        assert len(dropped) == stats.dropped > 50
        with pytest.raises(m.NotAcknowledgedError):
            batcher.flush(0.05)
        with pytest.raises(m.DeliveryError) as failed:
            batcher.close(0.05)
        assert failed.value.failed == stats.added
        assert batcher.stats.buffered_bytes == 0


def test_full_and_block(own_server: Server) -> None:
    """With the server gone `add` waits; nothing is lost when it is back."""
    agent = unique("block")
    own_server.kill()
    with Memtrace(own_server.url, own_server.key) as client:
        batcher = client.batcher(max_buffered_bytes=2_000)
        done = threading.Event()

        def produce() -> None:
            for n in range(200):
                batcher.add({"agent_id": agent, "content": f"event {n}"})
            done.set()

        thread = threading.Thread(target=produce)
        thread.start()
        assert not done.wait(0.3)
        assert batcher.stats.buffered_bytes <= 2_000
        own_server.start()
        assert done.wait(20)
        thread.join()
        batcher.close()
    assert contents(own_server, agent) == [f"event {n}" for n in range(200)]


def test_close_wakes_a_blocked_add() -> None:
    with Memtrace(f"http://127.0.0.1:{free_port()}") as client:
        batcher = client.batcher(max_buffered_bytes=10)
        batcher.add({"agent_id": "a", "content": "first"})
        raised: list[Exception] = []

        def second() -> None:
            try:
                batcher.add({"agent_id": "a", "content": "second"})
            except m.BatcherClosedError as error:
                raised.append(error)

        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        with pytest.raises(m.DeliveryError):
            batcher.close(0.05)
        thread.join(5)
        assert len(raised) == 1


def test_async_full_close_and_refusal(server: Server) -> None:
    async def main() -> None:
        dropped: list[Any] = []
        async with AsyncMemtrace(f"http://127.0.0.1:{free_port()}") as client:
            full = client.batcher(max_buffered_bytes=500, policy="drop", on_drop=dropped.append)
            for n in range(50):
                await full.add({"agent_id": "a", "content": f"event {n}"})
            assert len(dropped) == full.stats.dropped > 20
            with pytest.raises(m.NotAcknowledgedError):
                await full.flush(0.05)
            blocked = client.batcher(max_buffered_bytes=10)
            await blocked.add({"agent_id": "a", "content": "first"})
            second = asyncio.create_task(blocked.add({"agent_id": "a", "content": "second"}))
            await asyncio.sleep(0.02)
            assert not second.done()
            for batcher in (full, blocked):
                with pytest.raises(m.DeliveryError):
                    await batcher.close(0.05)
            with pytest.raises(m.BatcherClosedError):
                await second

        agent = unique("async-bad")
        told: list[Any] = []
        async with AsyncMemtrace(server.url, server.key) as client:
            batcher = client.batcher(on_error=lambda error, events: told.append(events))
            for n in range(5):
                kind = "not a type" if n == 2 else "step"
                await batcher.add({"agent_id": agent, "content": f"e{n}", "event_type": kind})
            with pytest.raises(m.DeliveryError):
                await batcher.close()
            assert [event["content"] for event in told[0]] == ["e2"]
        assert contents(server, agent) == ["e0", "e1", "e3", "e4"]

    asyncio.run(main())


def test_an_unclosed_batcher_is_flushed_at_exit(server: Server) -> None:
    agent = unique("exit")
    program = f"""
from memtrace_client import Memtrace
client = Memtrace({server.url!r}, {KEY!r})
batcher = client.batcher(max_delay=60)
batcher.add({{"agent_id": {agent!r}, "content": "last words"}})
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    assert contents(server, agent) == ["last words"]


def test_a_callback_that_raises_stops_nothing() -> None:
    no = Reply(401, b'{"error":"invalid API key","code":"invalid_api_key","request_id":"r"}')

    def raises(error: Exception, events: list[dict[str, Any]]) -> None:
        raise RuntimeError("callback")

    with scripted(no, ACKNOWLEDGED) as (url, _), Memtrace(url) as client:
        batcher = client.batcher(on_error=raises, lanes=1)
        batcher.add({"agent_id": "a", "content": "refused"})
        with pytest.raises(m.DeliveryError):
            batcher.flush()
        batcher.add({"agent_id": "a", "content": "stored"})
        batcher.close()
        assert batcher.stats.acknowledged == 1


def test_times_of_adding_only_grow() -> None:
    # The clock stands still, then goes back, then on.
    times = iter(
        [1_700_000_000_999_999_500, 1_700_000_000_999_999_900, 0, 1_700_000_002_000_000_000]
    )
    clock = Clock(lambda: next(times))
    assert [clock.stamp() for _ in range(4)] == [
        b"2023-11-14T22:13:20.999999Z",
        b"2023-11-14T22:13:21.000000Z",
        b"2023-11-14T22:13:21.000001Z",
        b"2023-11-14T22:13:22.000000Z",
    ]


def test_a_lane_knows_what_is_left() -> None:
    lane = Lane(BatcherOptions(max_items=2, max_bytes=100))
    assert lane.wait() is None
    entries = [bytes([65 + n]) * 3 for n in range(5)]
    for entry in entries:
        lane.push(entry)
    assert lane.wait() == 0
    assert lane.take() == entries[:2]
    lane.settle(entries[:1])
    assert lane.give_up() == entries[1:]
    assert lane.done == lane.pushed == 5


@pytest.mark.parametrize("options", [{"max_items": 0}, {"max_items": 1_001}, {"lanes": 0}])
def test_options_are_checked(options: dict[str, int]) -> None:
    with Memtrace("http://localhost:1") as client, pytest.raises(ValueError, match="not 1"):
        client.batcher(**options)  # type: ignore[arg-type]

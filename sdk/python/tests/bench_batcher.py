"""Events a second that one process hands to the batcher and has acknowledged.

usage: python tests/bench_batcher.py [events]   (starts a server of its own)
"""

from __future__ import annotations

import asyncio
import sys
import time

from support import Server

from memtrace_client import AsyncMemtrace, MemoryInput, Memtrace


def event(n: int) -> MemoryInput:
    return MemoryInput(
        agent_id=f"agent-{n % 8}",
        session_id=f"sess-{n % 50}",
        event_type="page_crawled",
        content=f"Crawled https://example.com/products/{n} and found {n % 17} product pages",
        metadata={"status": 200, "depth": n % 5},
        tags=["crawl"],
    )


Rates = tuple[float, float]


class Watch:
    """Events a second by the clock, and by this process' own processor time."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def rates(self, events: int) -> Rates:
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return events / wall, events / cpu


def sync_rate(server: Server, events: int) -> Rates:
    with Memtrace(server.url, server.key) as client:
        batcher = client.batcher(max_items=1_000)
        watch = Watch()
        for n in range(events):
            batcher.add(event(n))
        batcher.close()
        assert batcher.stats.acknowledged == events
        return watch.rates(events)


async def async_rate(server: Server, events: int) -> Rates:
    async with AsyncMemtrace(server.url, server.key) as client:
        batcher = client.batcher(max_items=1_000)
        watch = Watch()
        for n in range(events):
            await batcher.add(event(n))
        await batcher.close()
        assert batcher.stats.acknowledged == events
        return watch.rates(events)


def own_rate(events: int) -> Rates:
    """What the client alone could do: an event made, checked, stamped and put into JSON."""
    from memtrace_client._delivery import Clock, entry_of

    clock = Clock()
    watch = Watch()
    for n in range(events):
        entry_of(event(n), clock)
    return watch.rates(events)


def show(what: str, rates: Rates) -> None:
    wall, cpu = rates
    print(f"{what:16} {wall:>8,.0f} events/s, {cpu:>8,.0f} a second of the client's processor time")


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 40_000
    server = Server()
    server.start()
    try:
        show("make and encode", own_rate(events))
        show("sync batcher", sync_rate(server, events))
        show("async batcher", asyncio.run(async_rate(server, events)))
    finally:
        server.stop()


if __name__ == "__main__":
    main()

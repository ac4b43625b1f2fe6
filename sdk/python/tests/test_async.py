"""The async client against the real server, and its likeness to the sync one."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from support import Server, unique

import memtrace_client as m
from memtrace_client import AsyncMemtrace, aclient, aresources, client, resources


def run(server: Server, test: Callable[[AsyncMemtrace], Awaitable[None]]) -> None:
    async def main() -> None:
        async with AsyncMemtrace(server.url, server.key) as made:
            await test(made)

    asyncio.run(main())


def test_verbs_pages_and_context(server: Server) -> None:
    async def test(c: AsyncMemtrace) -> None:
        agent = unique("async")
        session = await c.start_session(agent)
        await asyncio.gather(*(session.remember(f"n{n}") for n in range(12)))
        await session.decide("go", "because")
        await session.log_error("broke")
        pages = session.memories(limit=5)
        assert [page.count async for page in pages.pages()] == [5, 5, 4]
        assert len([one async for one in pages]) == 14
        assert len(await pages.all(3)) == 3
        assert (await pages).has_more
        assert len(await c.recall(agent).all()) == 14
        assert len(await c.search(agent_id=agent, content_contains="n1").all()) == 3
        context = await session.context(max_tokens=200)
        assert context.token_count <= 200
        assert (await session.close()).status == "closed"
        assert (await c.agents.stats(agent)).errors_24h == 1
        assert (await c.memories.delete_where(agent_id=agent)).deleted == 14

    run(server, test)


def test_streams(server: Server) -> None:
    async def test(c: AsyncMemtrace) -> None:
        agent = unique("async-stream")

        async def source() -> AsyncIterator[m.MemoryInput]:
            for n in range(1_500):
                yield m.MemoryInput(agent_id=agent, content=f"line {n}")

        assert (await c.memories.upload(source())).accepted == 1_500
        assert (await c.memories.upload([{"agent_id": agent, "content": "list"}])).accepted == 1
        exported = [one.content async for one in c.memories.export(agent_id=agent)]
        assert exported == [*(f"line {n}" for n in range(1_500)), "list"]

    run(server, test)


def test_errors_and_operations(server: Server) -> None:
    async def test(c: AsyncMemtrace) -> None:
        agent = unique("async-errors")
        first = await c.memories.add({"agent_id": agent, "content": "x"})
        with pytest.raises(m.DuplicateMemoryError) as conflict:
            await c.memories.add({"agent_id": agent, "content": "x"})
        assert conflict.value.existing_id == first.id
        with pytest.raises(m.NotFoundError):
            await c.sessions.get("sess_none")
        assert (await c.keys.self()).org.name == "default"
        assert (await c.ready()).status == "ready"
        assert (await c.health()).status == "ok"

    run(server, test)


def _public(kind: type) -> dict[str, list[str]]:
    return {
        name: list(inspect.signature(member).parameters)
        for name, member in vars(kind).items()
        if callable(member) and not name.startswith("_")
    }


@pytest.mark.parametrize(
    ("sync", "asynchronous"),
    [
        (client.Memtrace, aclient.AsyncMemtrace),
        (resources.Memories, aresources.AsyncMemories),
        (resources.Agents, aresources.AsyncAgents),
        (resources.Sessions, aresources.AsyncSessions),
        (resources.Keys, aresources.AsyncKeys),
        (client.SessionHandle, aclient.AsyncSessionHandle),
        (m.Batcher, m.AsyncBatcher),
        (m.Pages, m.AsyncPages),
    ],
)
def test_both_clients_have_the_same_methods(sync: Any, asynchronous: Any) -> None:
    assert _public(sync) == _public(asynchronous)

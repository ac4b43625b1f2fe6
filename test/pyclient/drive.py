"""Calls every public method of the real memtrace-sdk, sync and async, and prints what came back.

usage: drive.py <url> <api key>   -> one JSON object on stdout: {"sync": {...}, "async": {...}}
Fails (exit 1, traceback) where the SDK itself refuses an answer: its models are the assertion.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import sys

import memtrace as sdk


async def settle(value):
    """The result of a sync method as it is, of an async one awaited."""
    return await value if inspect.isawaitable(value) else value


async def raises(kind, call):
    try:
        await settle(call())
    except kind as error:
        return {"type": type(error).__name__, "status": error.status_code, "message": error.message}
    raise AssertionError(f"{kind.__name__} was not raised")


def plain(model):
    return model.model_dump(mode="json")


async def write(client, agent):
    out = {}
    out["remember"] = plain(await settle(client.remember(agent, "User prefers dark mode 深色模式")))
    out["decide"] = plain(await settle(client.decide(agent, "Skip pagination", "only 2 pages")))
    out["duplicate"] = await raises(
        sdk.ConflictError, lambda: client.remember(agent, "User prefers dark mode 深色模式")
    )
    full = sdk.AddMemoryRequest(
        agent_id=agent,
        session_id="sess-full",
        memory_type="entity",
        event_type="profile",
        content="everything set",
        metadata={"n": 1.5, "list": [1, None, "ä"], "deep": {"a": True}},
        tags=["x", "y.z"],
        dedup_key=f"own-{agent}",
        importance=0.75,
        parent_id="mem_parent",
    )
    out["add_memory"] = plain(await settle(client.add_memory(full)))
    batch = [
        sdk.AddMemoryRequest(
            agent_id=agent,
            memory_type="episodic",
            event_type="error" if n == 0 else "step",
            content=f"batch item {n}",
            metadata={},
            tags=[],
        )
        for n in range(5)
    ]
    out["add_memories"] = [plain(m) for m in await settle(client.add_memories(batch))]
    out["add_memories_again"] = [plain(m) for m in await settle(client.add_memories(batch))]
    out["bad_agent_id"] = await raises(sdk.MemtraceError, lambda: client.remember("1 bad id", "x"))
    return out


async def read(client, agent):
    out = {"recall": plain(await settle(client.recall(agent)))}
    options = sdk.ListOptions(
        agent_id=agent,
        memory_type="episodic",
        since="2h",
        until="now",
        limit=2,
        offset=1,
        order="asc",
    )
    out["list_memories"] = plain(await settle(client.list_memories(options)))
    tagged = sdk.ListOptions(
        agent_id=agent, tags="x,y.z", session_id="sess-full", event_type="profile"
    )
    out["list_tagged"] = plain(await settle(client.list_memories(tagged)))
    query = sdk.SearchQuery(
        agent_id=agent,
        memory_types=["episodic", "entity"],
        event_types=["step", "error", "profile"],
        content_contains="BATCH",
        since="1d",
        until="now",
        min_importance=0,
        limit=10,
        order="asc",
    )
    out["search_memories"] = plain(await settle(client.search_memories(query)))
    everything = sdk.SearchQuery(agent_id=agent, tags=["x"], session_id="sess-full")
    out["search_tagged"] = plain(await settle(client.search_memories(everything)))
    out["bad_since"] = await raises(
        sdk.MemtraceError, lambda: client.list_memories(sdk.ListOptions(since="yesterday-ish"))
    )
    return out


async def agents(client, agent):
    request = sdk.RegisterAgentRequest(name=agent, description="a crawler", config={"depth": 2})
    out = {"register_agent": plain(await settle(client.register_agent(request)))}
    out["register_twice"] = await raises(sdk.ConflictError, lambda: client.register_agent(request))
    agent_id = out["register_agent"]["id"]
    out["list_agents"] = plain(await settle(client.list_agents()))
    out["get_agent"] = plain(await settle(client.get_agent(agent_id)))
    out["get_agent_by_name"] = plain(await settle(client.get_agent(agent)))
    out["get_agent_stats"] = plain(await settle(client.get_agent_stats(agent)))
    out["stats_of_nobody"] = plain(await settle(client.get_agent_stats("nobody-at-all")))
    out["get_agent_memories"] = plain(await settle(client.get_agent_memories(agent)))
    options = sdk.ListOptions(
        agent_id="dropped",
        session_id="sess-full",
        tags="x",
        since="7d",
        limit=10,
        offset=0,
        order="desc",
    )
    filtered = await settle(client.get_agent_memories(agent, options))
    out["get_agent_memories_filtered"] = plain(filtered)
    out["delete_agent"] = await settle(client.delete_agent(agent_id))
    out["get_deleted_agent"] = await raises(sdk.NotFoundError, lambda: client.get_agent(agent_id))
    out["delete_agent_again"] = await raises(
        sdk.NotFoundError, lambda: client.delete_agent(agent_id)
    )
    return out


async def sessions(client, agent):
    request = sdk.CreateSessionRequest(agent_id=agent, metadata={"goal": "crawl", "n": 1})
    out = {"create_session": plain(await settle(client.create_session(request)))}
    session = out["create_session"]["id"]
    out["empty_context"] = plain(await settle(client.get_session_context(session)))
    kinds = {"episodic": "page_crawled", "decision": "decision", "session": "user_message"}
    for kind, event in kinds.items():
        memory = sdk.AddMemoryRequest(
            agent_id=agent,
            session_id=session,
            memory_type=kind,
            event_type=event,
            content=f"did {event}",
        )
        await settle(client.add_memory(memory))
    out["get_session"] = plain(await settle(client.get_session(session)))
    out["list_sessions"] = plain(await settle(client.list_sessions()))
    out["list_sessions_of_agent"] = plain(await settle(client.list_sessions(agent)))
    out["get_session_context"] = plain(await settle(client.get_session_context(session)))
    options = sdk.ContextOptions(max_tokens=4000, include_types=["decision"], since="24h")
    filtered = await settle(client.get_session_context(session, options))
    out["get_session_context_filtered"] = plain(filtered)
    out["get_session_memories"] = plain(await settle(client.get_session_memories(session)))
    listing = sdk.ListOptions(
        agent_id=agent, session_id="dropped", memory_type="session", since="2h", order="asc"
    )
    filtered = await settle(client.get_session_memories(session, listing))
    out["get_session_memories_filtered"] = plain(filtered)
    out["close_session"] = plain(await settle(client.close_session(session)))
    out["close_session_again"] = plain(await settle(client.close_session(session)))
    out["get_unknown_session"] = await raises(
        sdk.NotFoundError, lambda: client.get_session("sess_none")
    )
    return out


async def drive(client, agent):
    out = {}
    for part in (write, read, agents, sessions):
        out.update(await part(client, agent))
    out["close"] = await settle(client.close())
    return out


async def wrong_key(kind, url):
    client = kind(url, "mtk_" + "0" * 40)
    out = await raises(sdk.AuthenticationError, client.list_agents)
    await settle(client.close())
    return out


async def main(url, key):
    result = {}
    for name, kind in (("sync", sdk.Memtrace), ("async", sdk.AsyncMemtrace)):
        result[name] = await drive(kind(url, key), f"py-{name}")
        result[name]["wrong_key"] = await wrong_key(kind, url)
    with sdk.Memtrace(url, key) as client:
        result["sync"]["context_manager"] = client.list_agents().count
    async with sdk.AsyncMemtrace(url, key) as client:
        result["async"]["context_manager"] = (await client.list_agents()).count
    result["version"] = sdk.__version__
    result["methods"] = sorted(n for n in dir(sdk.Memtrace) if not n.startswith("_"))
    return result


print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2]))))

"""Adapter for the OpenAI Agents SDK: ``pip install memtrace-client[openai-agents]``.

    client = Memtrace()
    session = MemtraceSession("user-42", client=client, agent_id="support")
    hooks = MemtraceRunHooks(client, agent_id="support", session_id="user-42")
    agent = Agent(name="support", tools=memory_tools(client, "support", "user-42"))
    result = await Runner.run(agent, "hi", session=session, hooks=hooks)

It takes the sync client, which is safe in any thread and any event loop, and calls it in threads.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from agents import Agent, RunContextWrapper, RunHooks, SessionSettings, Tool, function_tool
from agents.tool import default_tool_error_function
from agents.tool_context import ToolContext

from ._items import QUOTE_CHARACTERS, ItemLog, Recorder, to_json, to_text
from ._tools import DECIDE, RECALL, REMEMBER, SEARCH, MemoryTools
from .client import Memtrace

if TYPE_CHECKING:
    from agents import TResponseInputItem

__all__ = ["MemtraceRunHooks", "MemtraceSession", "memory_instructions", "memory_tools"]

# What the SDK tells the model of a tool that raised or took too long.
_FAILED = "An error occurred while running the tool"
_TIMED_OUT = " timed out after "


class MemtraceSession:
    """A conversation that is kept on a memtrace server: the SDK's Session protocol.

    It survives restarts of the process and can be continued from another machine.
    """

    session_settings: SessionSettings | None = None

    def __init__(
        self,
        session_id: str,
        *,
        client: Memtrace,
        agent_id: str = "openai-agents",
        session_settings: SessionSettings | None = None,
    ) -> None:
        self.session_id = session_id
        self.session_settings = session_settings
        self._log = ItemLog(client, session_id, agent_id)

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """The newest items, the oldest of them first."""
        if limit is None and self.session_settings is not None:
            limit = self.session_settings.limit
        found = await asyncio.to_thread(self._log.read, limit)
        return [cast("TResponseInputItem", json.loads(item)) for item in found]

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Returns when they are durable."""
        entries = [(to_json(item), _readable(cast("dict[str, Any]", item))) for item in items]
        await asyncio.to_thread(self._log.append, entries)

    async def pop_item(self) -> TResponseInputItem | None:
        item = await asyncio.to_thread(self._log.pop)
        return None if item is None else cast("TResponseInputItem", json.loads(item))

    async def clear_session(self) -> None:
        """Erases the conversation, not what tools and hooks remembered in it."""
        await asyncio.to_thread(self._log.clear)


def memory_tools(
    client: Memtrace, agent_id: str, session_id: str, *, max_tokens: int = 2_000
) -> list[Tool]:
    """Tools with which a model remembers, decides, recalls and searches."""
    memory = MemoryTools(client, agent_id, session_id, max_tokens)

    async def remember(content: str, importance: float = 0.5) -> str:
        return await asyncio.to_thread(memory.remember, content, importance)

    async def decide(decision: str, reasoning: str) -> str:
        return await asyncio.to_thread(memory.decide, decision, reasoning)

    async def recall(since: str = "all") -> str:
        return await asyncio.to_thread(memory.recall, since)

    async def search(text: str, limit: int = 10) -> str:
        return await asyncio.to_thread(memory.search, text, limit)

    return [
        function_tool(call, name_override=f"memory_{call.__name__}", description_override=text)
        for call, text in (
            (remember, REMEMBER),
            (decide, DECIDE),
            (recall, RECALL),
            (search, SEARCH),
        )
    ]


def memory_instructions(
    instructions: str,
    client: Memtrace,
    session_id: str,
    *,
    max_tokens: int = 2_000,
    conversation: bool = False,
) -> Callable[[RunContextWrapper[Any], Agent[Any]], Any]:
    """For ``Agent(instructions=...)``: your text, then what is remembered of the session.

    What is remembered is the server's context: data that cannot pose as instructions. It leaves
    out the conversation, which the session sends itself, unless asked for.
    """
    memory = MemoryTools(client, "unused", session_id, max_tokens, conversation)

    async def build(_: RunContextWrapper[Any], __: Agent[Any]) -> str:
        context = await asyncio.to_thread(memory.context)
        return f"{instructions}\n\n{context}" if context else instructions

    return build


class MemtraceRunHooks(RunHooks[Any]):
    """Records tool calls, handoffs and errors as events, in the background.

    The SDK has no hook for a run that fails: run it inside ``async with hooks.watching()``. It
    shows hooks only that a tool failed: give tools ``failure_error_function=hooks.tool_failed`` to
    have the exception recorded.
    """

    def __init__(self, client: Memtrace, *, agent_id: str, session_id: str | None = None) -> None:
        self._recorder = Recorder(client, agent_id, session_id)
        self._failed_calls: set[str] = set()

    async def on_tool_end(
        self, context: RunContextWrapper[Any], agent: Agent[Any], tool: Tool, result: object
    ) -> None:
        call_id = _call_id(context)
        if call_id in self._failed_calls:
            self._failed_calls.discard(call_id)
            return
        arguments = context.tool_arguments if isinstance(context, ToolContext) else ""
        metadata = {
            "tool": tool.name,
            "agent": agent.name,
            "arguments": to_text(arguments, QUOTE_CHARACTERS),
            "result": to_text(result, QUOTE_CHARACTERS),
        }
        text = str(result)
        if text.startswith(_FAILED) or (text.startswith("Tool '") and _TIMED_OUT in text):
            self._recorder.error(f"{tool.name}: {text}", metadata)
            return
        shown = to_text(arguments, QUOTE_CHARACTERS)
        self._recorder.event("tool_call", f"{tool.name}({shown}): {to_text(result)}", metadata)

    async def on_handoff(
        self, context: RunContextWrapper[Any], from_agent: Agent[Any], to_agent: Agent[Any]
    ) -> None:
        metadata = {"from": from_agent.name, "to": to_agent.name}
        content = f"{from_agent.name} handed over to {to_agent.name}"
        self._recorder.event("handoff", content, metadata, importance=0.4)

    def tool_failed(self, context: RunContextWrapper[Any], error: Exception) -> str:
        """A ``failure_error_function``: records the exception, answers as the SDK does."""
        tool = context.tool_name if isinstance(context, ToolContext) else "tool"
        self._failed_calls.add(_call_id(context))
        self._recorder.error(error, {"tool": tool})
        return default_tool_error_function(context, error)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Records an exception that leaves the block, and passes it on."""
        try:
            yield
        except Exception as error:
            self._recorder.error(error, {"run": "failed"})
            raise

    async def flush(self, timeout: float | None = None) -> None:
        """Returns when what was recorded is durable."""
        await asyncio.to_thread(self._recorder.flush, timeout)

    async def close(self, timeout: float | None = None) -> None:
        """Flushes and ends; closing the client does so too."""
        await asyncio.to_thread(self._recorder.close, timeout)


def _call_id(context: RunContextWrapper[Any]) -> str:
    return context.tool_call_id if isinstance(context, ToolContext) else ""


def _readable(item: dict[str, Any]) -> str:
    """An item of the Responses API for people and contexts."""
    kind = item.get("type", "message")
    if kind == "function_call":
        return f"{item.get('name')}({item.get('arguments')})"
    if kind == "function_call_output":
        return f"tool: {_text_of(item.get('output'))}"
    if kind == "message":
        return f"{item.get('role')}: {_text_of(item.get('content'))}"
    return f"{kind}: {to_text(item)}"


def _text_of(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [part.get("text") or part.get("refusal") for part in content if "type" in part]
        return " ".join(text for text in texts if text)
    return to_text(content)

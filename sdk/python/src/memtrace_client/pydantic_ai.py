"""Adapter for Pydantic AI: ``pip install memtrace-client[pydantic-ai]``.

client = Memtrace()
memory = MemtraceCapability(client, agent_id="support", session_id="user-42")
history = MemtraceHistory("user-42", client=client, agent_id="support")
agent = Agent("openai:gpt-5", capabilities=[memory])
result = await agent.run("hi", message_history=await history.messages())
await history.add(result.new_messages())
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ToolCallPart,
)
from pydantic_ai.run import AgentRunResult
from pydantic_ai.tools import Tool, ToolDefinition
from pydantic_ai.toolsets import FunctionToolset

from ._items import QUOTE_CHARACTERS, ItemLog, Recorder, to_text
from ._tools import DECIDE, RECALL, REMEMBER, SEARCH, MemoryTools
from .client import Memtrace

__all__ = ["MemtraceCapability", "MemtraceHistory", "memory_toolset"]


class MemtraceHistory:
    """The messages of a conversation, kept on a memtrace server."""

    def __init__(self, session_id: str, *, client: Memtrace, agent_id: str = "pydantic-ai") -> None:
        self._log = ItemLog(client, session_id, agent_id)

    async def messages(self) -> list[ModelMessage]:
        """All of them, the oldest first: for ``message_history``."""
        found = await asyncio.to_thread(self._log.read)
        return ModelMessagesTypeAdapter.validate_json("[" + ",".join(found) + "]")

    async def add(self, messages: Sequence[ModelMessage]) -> None:
        """Adds what a run said (``result.new_messages()``); returns when it is durable."""
        items = [(_json_of(message), _readable(message)) for message in messages]
        await asyncio.to_thread(self._log.append, items)

    async def clear(self) -> None:
        """Erases the messages, not what tools and events remembered."""
        await asyncio.to_thread(self._log.clear)


def memory_toolset(
    client: Memtrace, agent_id: str, session_id: str, *, max_tokens: int = 2_000
) -> FunctionToolset[Any]:
    """Tools with which a model remembers, decides, recalls and searches."""
    memory = MemoryTools(client, agent_id, session_id, max_tokens)
    return FunctionToolset(
        [
            Tool(call, takes_ctx=False, name=f"memory_{call.__name__}", description=text)
            for call, text in (
                (memory.remember, REMEMBER),
                (memory.decide, DECIDE),
                (memory.recall, RECALL),
                (memory.search, SEARCH),
            )
        ]
    )


class MemtraceCapability(AbstractCapability[Any]):
    """Gives an agent its session's context and memory tools, and records what it does.

    The context is the server's: data that cannot pose as instructions; it leaves out the
    conversation, which the message history holds, unless asked for. Tool calls, finished runs and
    errors are recorded in the background.
    """

    def __init__(
        self,
        client: Memtrace,
        *,
        agent_id: str,
        session_id: str,
        tools: bool = True,
        context: bool = True,
        max_tokens: int = 2_000,
        conversation: bool = False,
    ) -> None:
        self._memory = MemoryTools(client, agent_id, session_id, max_tokens, conversation)
        self._recorder = Recorder(client, agent_id, session_id)
        toolset = memory_toolset(client, agent_id, session_id, max_tokens=max_tokens)
        self._toolset = toolset if tools else None
        self._context = context

    def get_instructions(self) -> Any:
        async def remembered(_: RunContext[Any]) -> str:
            return await asyncio.to_thread(self._memory.context)

        return remembered if self._context else None

    def get_toolset(self) -> FunctionToolset[Any] | None:
        return self._toolset

    async def after_tool_execute(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        result: Any,
    ) -> Any:
        shown = to_text(args, QUOTE_CHARACTERS)
        metadata = {
            "tool": call.tool_name,
            "arguments": shown,
            "result": to_text(result, QUOTE_CHARACTERS),
            "run_id": ctx.run_id,
        }
        content = f"{call.tool_name}({shown}): {to_text(result)}"
        self._recorder.event("tool_call", content, metadata)
        return result

    async def on_tool_execute_error(
        self,
        ctx: RunContext[Any],
        *,
        call: ToolCallPart,
        tool_def: ToolDefinition,
        args: dict[str, Any],
        error: Exception,
    ) -> Any:
        arguments = to_text(args, QUOTE_CHARACTERS)
        self._recorder.error(error, {"tool": call.tool_name, "arguments": arguments})
        raise error

    async def after_run(
        self, ctx: RunContext[Any], *, result: AgentRunResult[Any]
    ) -> AgentRunResult[Any]:
        content = f"run finished: {to_text(result.output)}"
        self._recorder.event("run_finished", content, {"run_id": ctx.run_id})
        return result

    async def on_run_error(
        self, ctx: RunContext[Any], *, error: BaseException
    ) -> AgentRunResult[Any]:
        if isinstance(error, Exception):
            self._recorder.error(error, {"run": "failed", "run_id": ctx.run_id})
        raise error

    async def flush(self, timeout: float | None = None) -> None:
        """Returns when what was recorded is durable."""
        await asyncio.to_thread(self._recorder.flush, timeout)

    async def close(self, timeout: float | None = None) -> None:
        """Flushes and ends; closing the client does so too."""
        await asyncio.to_thread(self._recorder.close, timeout)


def _json_of(message: ModelMessage) -> str:
    return ModelMessagesTypeAdapter.dump_json([message]).decode()[1:-1]


def _readable(message: ModelMessage) -> str:
    """A message for people and contexts."""
    shown = []
    for part in message.parts:
        if isinstance(part, ToolCallPart):
            shown.append(f"{part.tool_name}({part.args_as_json_str()})")
        else:
            content = getattr(part, "content", None)
            shown.append(f"{part.part_kind}: {to_text(content)}")
    return "; ".join(shown)

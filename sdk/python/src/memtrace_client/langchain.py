"""Adapter for LangChain and LangGraph: ``pip install memtrace-client[langgraph]``.

client = Memtrace()
history = MemtraceChatMessageHistory("user-42", client=client, agent_id="support")
handler = MemtraceCallbackHandler(client, agent_id="support", session_id="user-42")
graph.invoke({"messages": [...]}, config={"callbacks": [handler]})
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from time import monotonic
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import (
    BaseMessage,
    SystemMessage,
    message_to_dict,
    messages_from_dict,
)
from langchain_core.outputs import LLMResult
from langchain_core.tools import BaseTool, StructuredTool

from ._items import QUOTE_CHARACTERS, ItemLog, Recorder, to_json, to_text
from ._tools import DECIDE, RECALL, REMEMBER, SEARCH, MemoryTools
from .client import Memtrace

__all__ = [
    "MemtraceCallbackHandler",
    "MemtraceChatMessageHistory",
    "context_message",
    "memory_tools",
]

#: LangGraph's own control flow, which is not an error.
_CONTROL_FLOW = frozenset({"GraphInterrupt", "GraphBubbleUp", "NodeInterrupt", "ParentCommand"})


class MemtraceChatMessageHistory(BaseChatMessageHistory):
    """The messages of a conversation, kept on a memtrace server."""

    def __init__(self, session_id: str, *, client: Memtrace, agent_id: str = "langchain") -> None:
        self.session_id = session_id
        self._log = ItemLog(client, session_id, agent_id)

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """All of them, the oldest first."""
        return self.latest()

    def latest(self, limit: int | None = None) -> list[BaseMessage]:
        """The newest messages, the oldest of them first."""
        return messages_from_dict([json.loads(item) for item in self._log.read(limit)])

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Returns when they are durable."""
        self._log.append(
            [
                (to_json(message_to_dict(message)), f"{message.type}: {_text_of(message)}")
                for message in messages
            ]
        )

    def clear(self) -> None:
        """Erases the messages, not what tools and callbacks remembered."""
        self._log.clear()


def context_message(
    client: Memtrace,
    session_id: str,
    instructions: str = "",
    *,
    max_tokens: int = 2_000,
    conversation: bool = False,
) -> SystemMessage:
    """A system message: your text, then what is remembered of the session.

    What is remembered is the server's context: data that cannot pose as instructions. It leaves
    out the conversation, which the history holds, unless asked for.
    """
    context = MemoryTools(client, "unused", session_id, max_tokens, conversation).context()
    return SystemMessage("\n\n".join(filter(None, (instructions, context))))


def memory_tools(
    client: Memtrace, agent_id: str, session_id: str, *, max_tokens: int = 2_000
) -> list[BaseTool]:
    """Tools with which a model remembers, decides, recalls and searches."""
    memory = MemoryTools(client, agent_id, session_id, max_tokens)
    return [
        StructuredTool.from_function(call, name=f"memory_{call.__name__}", description=text)
        for call, text in (
            (memory.remember, REMEMBER),
            (memory.decide, DECIDE),
            (memory.recall, RECALL),
            (memory.search, SEARCH),
        )
    ]


class MemtraceCallbackHandler(BaseCallbackHandler):
    """Records runs, model answers, tool calls and errors as events, in the background."""

    def __init__(self, client: Memtrace, *, agent_id: str, session_id: str | None = None) -> None:
        self._recorder = Recorder(client, agent_id, session_id)
        self._started: dict[UUID, tuple[str, str, float]] = {}

    def on_chain_start(
        self,
        serialized: dict[str, Any] | None,
        inputs: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        name: str | None = None,
        **_: Any,
    ) -> None:
        # Each node of a graph is a chain too: only the whole is a run.
        if parent_run_id is None:
            self._start(run_id, name or _name_of(serialized), "")

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **_: Any) -> None:
        if run_id not in self._started:
            return
        name, _input, seconds = self._end(run_id)
        metadata = {"run": name, "run_id": str(run_id), "seconds": seconds}
        self._recorder.event("run_finished", f"{name} finished: {_last_text(outputs)}", metadata)

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        if run_id in self._started:
            name, _input, seconds = self._end(run_id)
            self._error(error, {"run": name, "run_id": str(run_id), "seconds": seconds})

    def on_tool_start(
        self,
        serialized: dict[str, Any] | None,
        input_str: str,
        *,
        run_id: UUID,
        name: str | None = None,
        **_: Any,
    ) -> None:
        self._start(run_id, name or _name_of(serialized), input_str)

    def on_tool_end(self, output: Any, *, run_id: UUID, **_: Any) -> None:
        tool, given, seconds = self._end(run_id)
        result = getattr(output, "content", output)
        metadata = {
            "tool": tool,
            "arguments": to_text(given, QUOTE_CHARACTERS),
            "result": to_text(result, QUOTE_CHARACTERS),
            "run_id": str(run_id),
            "seconds": seconds,
        }
        if getattr(output, "status", None) == "error":
            self._recorder.error(f"{tool}: {to_text(result)}", metadata)
            return
        shown = to_text(given, QUOTE_CHARACTERS)
        self._recorder.event("tool_call", f"{tool}({shown}): {to_text(result)}", metadata)

    def on_tool_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        tool, given, seconds = self._end(run_id)
        arguments = to_text(given, QUOTE_CHARACTERS)
        self._error(error, {"tool": tool, "arguments": arguments, "seconds": seconds})

    def on_llm_end(self, response: LLMResult, *, run_id: UUID, **_: Any) -> None:
        generation = next((one for row in response.generations for one in row), None)
        if generation is None:
            return
        message = getattr(generation, "message", None)
        usage = getattr(message, "usage_metadata", None)
        metadata = {"run_id": str(run_id), **({"usage": dict(usage)} if usage else {})}
        text = generation.text or _text_of(message) if message is not None else generation.text
        self._recorder.event("model_answer", text, metadata, importance=0.1)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **_: Any) -> None:
        self._error(error, {"model": "failed", "run_id": str(run_id)})

    def flush(self, timeout: float | None = None) -> None:
        """Returns when what was recorded is durable."""
        self._recorder.flush(timeout)

    def close(self, timeout: float | None = None) -> None:
        """Flushes and ends; closing the client does so too."""
        self._recorder.close(timeout)

    def _start(self, run_id: UUID, name: str, given: str) -> None:
        self._started[run_id] = (name, given, monotonic())

    def _end(self, run_id: UUID) -> tuple[str, str, float]:
        name, given, at = self._started.pop(run_id, ("unknown", "", monotonic()))
        return name, given, round(monotonic() - at, 3)

    def _error(self, error: BaseException, metadata: dict[str, Any]) -> None:
        if type(error).__name__ not in _CONTROL_FLOW:
            self._recorder.error(error, metadata)


def _name_of(serialized: dict[str, Any] | None) -> str:
    known = serialized or {}
    return str(known.get("name") or (known.get("id") or ["run"])[-1])


def _text_of(message: BaseMessage) -> str:
    text = str(message.text)
    calls = getattr(message, "tool_calls", None) or []
    named = [f"{call['name']}({to_text(call['args'], QUOTE_CHARACTERS)})" for call in calls]
    return " ".join(filter(None, [text, *named]))


def _last_text(outputs: Any) -> str:
    messages = outputs.get("messages") if isinstance(outputs, dict) else None
    if isinstance(messages, list) and messages and isinstance(messages[-1], BaseMessage):
        return _text_of(messages[-1])
    return _text_of(outputs) if isinstance(outputs, BaseMessage) else to_text(outputs)

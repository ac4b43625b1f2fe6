"""A LangGraph agent whose conversation and memories outlive its process.

The model is scripted, so no key is needed; put a real one in its place and nothing else changes.

usage: python crawler.py <session>
"""

import sys
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from memtrace_client import Memtrace
from memtrace_client.langchain import (
    MemtraceCallbackHandler,
    MemtraceChatMessageHistory,
    context_message,
    memory_tools,
)


class ScriptedModel(BaseChatModel):
    """What a model might say: it crawls, remembers, and looks back when it is asked to."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._answer(messages))])

    def _answer(self, messages: list[BaseMessage]) -> AIMessage:
        last = messages[-1]
        asked = [str(one.content) for one in messages if isinstance(one, HumanMessage)]
        if isinstance(last, HumanMessage) and len(asked) > 1:
            return AIMessage(f"You asked before: {asked[0]}")
        if isinstance(last, HumanMessage):
            return self._call("crawl", {"page": "/lamps"})
        if isinstance(last, ToolMessage) and last.name == "crawl":
            return self._call("memory_remember", {"content": f"The shop has {last.content}"})
        return AIMessage("I crawled the lamps.")

    def _call(self, name: str, args: dict[str, Any]) -> AIMessage:
        return AIMessage("", tool_calls=[{"name": name, "args": args, "id": f"call_{name}"}])


def crawl(page: str) -> str:
    """Fetch a page of the shop."""
    return {"/lamps": "3 lamps, from 19 EUR"}.get(page, "not found")


def main(session_id: str) -> None:
    client = Memtrace()
    history = MemtraceChatMessageHistory(session_id, client=client, agent_id="crawler")
    handler = MemtraceCallbackHandler(client, agent_id="crawler", session_id=session_id)
    model = ScriptedModel()
    earlier = history.messages
    system = context_message(client, session_id, "You crawl a shop.")

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke([system, *earlier, *state["messages"]])]}

    def after(state: MessagesState) -> str:
        last = state["messages"][-1]
        return "tools" if isinstance(last, AIMessage) and last.tool_calls else END

    graph = StateGraph(MessagesState)
    graph.add_node("ask", ask)
    graph.add_node("tools", ToolNode([crawl, *memory_tools(client, "crawler", session_id)]))
    graph.add_edge(START, "ask")
    graph.add_conditional_edges("ask", after, ["tools", END])
    graph.add_edge("tools", "ask")

    question = "What did I ask you before?" if earlier else "Crawl the lamps."
    said = graph.compile().invoke(
        {"messages": [HumanMessage(question)]}, config={"callbacks": [handler]}
    )["messages"]
    history.add_messages(said)
    handler.close()

    print(f"user:  {question}")
    print(f"agent: {said[-1].content}")
    if earlier:
        print("The model was told:")
        print(system.content)
    client.close()


if __name__ == "__main__":
    main(sys.argv[1])

"""An agent of the OpenAI Agents SDK whose conversation and memories outlive its process.

The model is scripted, so no key is needed; put a real one in its place and nothing else changes.

usage: python crawler.py <session>
"""

import asyncio
import sys

from agents import Agent, Runner, function_tool, set_tracing_disabled
from agents.testing import ModelCall, ModelStep, ScriptedModel, assistant_message, function_call

from memtrace_client import Memtrace
from memtrace_client.openai_agents import (
    MemtraceRunHooks,
    MemtraceSession,
    memory_instructions,
    memory_tools,
)

set_tracing_disabled(True)


@function_tool
def crawl(page: str) -> str:
    """Fetch a page of the shop."""
    return {"/lamps": "3 lamps, from 19 EUR"}.get(page, "not found")


def script(first_run: bool) -> ScriptedModel:
    """What a model might say: it crawls in the first run, and only looks back in the second."""
    if first_run:
        fact = {"content": "The shop has 3 lamps, from 19 EUR", "importance": 0.8}
        return ScriptedModel(
            [
                [function_call("crawl", {"page": "/lamps"}, call_id="call_1")],
                [function_call("memory_remember", fact, call_id="call_2")],
                [assistant_message("I crawled the lamps.")],
            ]
        )

    def look_back(call: ModelCall) -> ModelStep:
        earlier = [item for item in call.input if item.get("role") == "user"][:-1]
        return ModelStep([assistant_message(f"You asked before: {earlier[0]['content']}")])

    return ScriptedModel([ModelStep.respond(look_back)])


async def main(session_id: str) -> None:
    client = Memtrace()
    session = MemtraceSession(session_id, client=client, agent_id="crawler")
    hooks = MemtraceRunHooks(client, agent_id="crawler", session_id=session_id)
    first_run = not await session.get_items(limit=1)
    model = script(first_run)
    agent = Agent(
        name="crawler",
        model=model,
        instructions=memory_instructions("You crawl a shop.", client, session_id),
        tools=[crawl, *memory_tools(client, "crawler", session_id)],
    )
    question = "Crawl the lamps." if first_run else "What did I ask you before?"
    async with hooks.watching():
        result = await Runner.run(agent, question, session=session, hooks=hooks)
    await hooks.close()

    print(f"user:  {question}")
    print(f"agent: {result.final_output}")
    if not first_run:
        print("The model was told:")
        print(model.calls[0].system_instructions)
    client.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

// A LangGraph agent whose messages outlive the process, with memory tools and recorded runs. The
// model is scripted: put a real one in its place and set its key.
import { AIMessage, HumanMessage } from '@langchain/core/messages';
import { fakeModel } from '@langchain/core/testing';
import { createReactAgent } from '@langchain/langgraph/prebuilt';
import { Memtrace } from '@memtrace/sdk';
import {
  MemtraceCallbackHandler,
  MemtraceChatMessageHistory,
  memtraceTools,
} from '@memtrace/sdk/langchain';

const options = { agentId: 'crawler', sessionId: 'langgraph_example' };
const client = new Memtrace();
const history = new MemtraceChatMessageHistory(client, options);

const before = await history.getMessages();
console.log(`Remembered from earlier runs: ${before.length} messages`);
for (const { type, text } of before) if (text !== '') console.log(`  ${type}: ${text}`);

const page = before.length === 0 ? '/teapots' : '/cups';
const call = {
  name: 'memtrace_remember',
  args: { content: `Crawled ${page}` },
  id: `call ${page}`,
};
// Messages of a real model have ids of their own, by which a graph tells them apart.
const model = fakeModel()
  .respond(new AIMessage({ id: `1 ${page}`, content: '', tool_calls: [call] }))
  .respond(new AIMessage({ id: `2 ${page}`, content: `I crawled ${page} and remembered it.` }));
const agent = createReactAgent({ llm: model, tools: memtraceTools(client, options) });
const handler = new MemtraceCallbackHandler(client, options);

const question = new HumanMessage(`Crawl ${page}`);
const input = { messages: [...before, question] };
const { messages } = await agent.invoke(input, { callbacks: [handler] });
await history.addMessages(messages.slice(before.length));
await handler.close();
console.log(`Answer: ${messages.at(-1)?.text}`);

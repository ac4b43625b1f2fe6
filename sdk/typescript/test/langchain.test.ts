import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { ChatPromptTemplate, MessagesPlaceholder } from '@langchain/core/prompts';
import { RunnableWithMessageHistory } from '@langchain/core/runnables';
import { fakeModel } from '@langchain/core/testing';
import { tool } from '@langchain/core/tools';
import { createReactAgent } from '@langchain/langgraph/prebuilt';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import type { Memtrace } from '../src/index.js';
import {
  MemtraceCallbackHandler,
  MemtraceChatMessageHistory,
  memtraceTools,
} from '../src/langchain.js';
import { clientOf, startServer, type TestServer, tempDir } from './support.js';

const dataDir = tempDir();
let server: TestServer;
let client: Memtrace;

beforeAll(async () => {
  server = await startServer({ dataDir });
  client = clientOf(server);
});
afterAll(async () => {
  await server?.stop();
});

it('keeps messages of all kinds, equal ones too, in order', async () => {
  const options = { agentId: 'chat', sessionId: 'history_1' };
  const history = new MemtraceChatMessageHistory(client, options);
  const messages = [
    new HumanMessage('yes'),
    new AIMessage({ content: '', tool_calls: [{ name: 'f', args: { x: 1 }, id: 'c1' }] }),
    new ToolMessage({ content: '42', tool_call_id: 'c1' }),
    new AIMessage('ok'),
    new HumanMessage('yes'),
    new HumanMessage('yes'),
  ];
  await history.addMessages(messages);
  const read = await new MemtraceChatMessageHistory(client, options).getMessages();
  expect(read.map((m) => [m.type, m.content])).toEqual(messages.map((m) => [m.type, m.content]));
  expect((read[1] as AIMessage).tool_calls?.[0]).toMatchObject({ name: 'f', args: { x: 1 } });
  await history.addUserMessage('one more');
  expect(await history.getMessages()).toHaveLength(7);
  await history.clear();
  expect(await history.getMessages()).toEqual([]);
});

it('carries a conversation over a restart in RunnableWithMessageHistory', async () => {
  const seen: string[][] = [];
  const chainWith = (answer: string) => {
    const model = fakeModel().respond((messages) => {
      seen.push(messages.map((m) => String(m.content)));
      return new AIMessage(answer);
    });
    const prompt = ChatPromptTemplate.fromMessages([
      new MessagesPlaceholder('history'),
      ['human', '{input}'],
    ]);
    return new RunnableWithMessageHistory({
      runnable: prompt.pipe(model),
      getMessageHistory: (sessionId: string) =>
        new MemtraceChatMessageHistory(client, { agentId: 'chat', sessionId }),
      inputMessagesKey: 'input',
      historyMessagesKey: 'history',
    });
  };
  const config = { configurable: { sessionId: 'history_2' } };
  await chainWith('noted').invoke({ input: 'I am Ada' }, config);
  await server.kill9();
  server = await startServer({ dataDir });
  client = clientOf(server);
  await chainWith('you are Ada').invoke({ input: 'who am I?' }, config);
  expect(seen).toEqual([['I am Ada'], ['I am Ada', 'noted', 'who am I?']]);
});

it('records the runs of a LangGraph agent, and gives it tools', async () => {
  const model = fakeModel()
    .respondWithTools([{ name: 'memtrace_remember', args: { content: 'tea at four' }, id: 'c1' }])
    .respondWithTools([{ name: 'broken', args: {}, id: 'c2' }])
    .respondWithTools([{ name: 'memtrace_recall', args: { since: '7d' }, id: 'c3' }])
    .respond(new AIMessage('tea is at four'));
  const broken = tool(
    () => {
      throw new Error('kettle is empty');
    },
    { name: 'broken', description: 'b', schema: z.object({}) },
  );
  const tools = memtraceTools(client, { agentId: 'graph', sessionId: 'graph_1' });
  const agent = createReactAgent({ llm: model, tools: [...tools, broken] });
  const handler = new MemtraceCallbackHandler(client, { agentId: 'graph', sessionId: 'graph_1' });
  const result = await agent.invoke(
    { messages: [new HumanMessage('when is tea?')] },
    { callbacks: [handler] },
  );
  await handler.flush();
  const texts = result.messages.map((m) => String(m.content));
  expect(texts.at(-1)).toBe('tea is at four');
  expect(texts.some((text) => text.includes('tea at four'))).toBe(true);

  const { memories } = await client.session('graph_1').memories({ order: 'asc' });
  const types = memories.map((m) => m.event_type);
  expect(types.filter((type) => type === 'tool_call')).toHaveLength(3);
  expect(types.filter((type) => type === 'tool_result')).toHaveLength(2);
  expect(types.at(-1)).toBe('run_end');
  const contents = memories.map((m) => m.content);
  expect(contents).toContain('kettle is empty');
  expect(contents).toContain('tea is at four');

  const failing = createReactAgent({ llm: fakeModel().respond(new Error('down')), tools: [] });
  const call = failing.invoke({ messages: [new HumanMessage('hi')] }, { callbacks: [handler] });
  await expect(call).rejects.toThrow('down');
  await handler.close();
  const errors = await client.session('graph_1').memories({ event_type: 'error' });
  expect(errors.memories.filter((m) => m.content === 'down').length).toBeGreaterThan(0);
});

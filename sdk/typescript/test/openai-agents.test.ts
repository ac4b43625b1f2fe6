import { Agent, type AgentInputItem, Runner, setTracingDisabled, tool } from '@openai/agents';
import { assistantMessage, functionCall, modelError, ScriptedModel } from '@openai/agents/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Memtrace } from '../src/index.js';
import { MemtraceSession, memtraceTools, RunRecorder } from '../src/openai-agents.js';
import { clientOf, startServer, type TestServer, tempDir } from './support.js';

setTracingDisabled(true);
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

const user = (content: string): AgentInputItem => ({ role: 'user', content });

describe('a session', () => {
  it('is a Session: in order, with limits, popped and cleared', async () => {
    const session = new MemtraceSession(client, { agentId: 'unit' });
    const id = await session.getSessionId();
    expect(id).toMatch(/^sess_/);
    expect(await session.getItems()).toEqual([]);
    expect(await session.popItem()).toBeUndefined();
    const items = ['yes', 'no', 'yes', 'yes'].map(user);
    await session.addItems(items.slice(0, 3));
    await session.addItems(items.slice(3));
    expect(await session.getItems()).toEqual(items);
    expect(await session.getItems(2)).toEqual(items.slice(2));
    expect(await session.popItem()).toEqual(user('yes'));
    await client.remember('unit', 'noted by someone else', { session_id: id });
    expect(await session.getItems()).toEqual(items.slice(0, 3));
    await session.clearSession();
    expect(await session.getItems()).toEqual([]);
    expect((await client.session(id).memories()).count).toBe(1);
  });

  it('gives back items of any size and content as they were', async () => {
    const session = new MemtraceSession(client, { agentId: 'unit', sessionId: 'large' });
    const items = [
      user('small'),
      user(`${'ü"\\😀'.repeat(20_000)}`),
      user('nul \0 and half \ud83d'),
      {
        type: 'function_call_result',
        name: 'f',
        callId: 'c',
        status: 'completed',
        output: deep(40),
      },
      user('last'),
    ] as AgentInputItem[];
    await session.addItems(items);
    expect(await session.getItems()).toEqual(items);
    expect(await session.getItems(1)).toEqual([user('last')]);
    for (let i = items.length - 1; i >= 0; i -= 1)
      expect(await session.popItem()).toEqual(items[i]);
    expect((await client.session('large').memories()).count).toBe(0);
  });

  it('goes on after both processes were started again', async () => {
    const first = new ScriptedModel([[assistantMessage('Noted: blue.')]]);
    const session = new MemtraceSession(client, { agentId: 'restart' });
    const agent = new Agent({ name: 'Keeper', model: first });
    await new Runner().run(agent, 'my color is blue', { session });
    const sessionId = await session.getSessionId();
    await server.kill9();
    server = await startServer({ dataDir });
    client = clientOf(server);

    const second = new ScriptedModel([[assistantMessage('It is blue.')]]);
    const resumed = new MemtraceSession(client, { agentId: 'restart', sessionId });
    const again = new Agent({ name: 'Keeper', model: second });
    await new Runner().run(again, 'what is my color?', { session: resumed });
    expect(JSON.stringify(second.calls[0]?.request.input)).toContain('my color is blue');
    expect(JSON.stringify(second.calls[0]?.request.input)).toContain('Noted: blue.');
    expect(await resumed.getItems()).toHaveLength(4);
  });
});

function deep(levels: number): unknown {
  return levels === 0 ? { type: 'text', text: 'bottom' } : { inner: deep(levels - 1) };
}

describe('tools', () => {
  it('remember and recall in a real run', async () => {
    const model = new ScriptedModel([
      [functionCall('memtrace_remember', { content: 'the shop closes at six' }, { callId: 'c1' })],
      [
        functionCall(
          'memtrace_decide',
          { decision: 'go at five', reasoning: 'closes at six' },
          { callId: 'c2' },
        ),
      ],
      [functionCall('memtrace_recall', { contains: '', limit: 5 }, { callId: 'c3' })],
      [assistantMessage('done')],
    ]);
    const tools = memtraceTools(client, { agentId: 'tooled', sessionId: 'tools_1' });
    const result = await new Runner().run(new Agent({ name: 'T', model, tools }), 'hello');
    expect(result.finalOutput).toBe('done');
    const last = JSON.stringify(model.calls[3]?.request.input);
    expect(last).toContain('the shop closes at six');
    expect(last).toContain('closes at six');
    const { memories } = await client.session('tools_1').memories({ order: 'asc' });
    expect(memories.map((m) => m.content)).toEqual(['the shop closes at six', 'go at five']);
  });
});

describe('a recorder', () => {
  it('records tool calls, handoffs, outputs and errors', async () => {
    const good = tool({
      name: 'weather',
      description: 'w',
      parameters: z.object({ city: z.string() }),
      execute: async ({ city }) => `sunny in ${city}`,
    });
    const bad = tool({
      name: 'broken',
      description: 'b',
      parameters: z.object({}),
      execute: async () => {
        throw new Error('no such city');
      },
    });
    const helper = new Agent({
      name: 'Help Desk',
      model: new ScriptedModel([[assistantMessage('all good')]]),
    });
    const model = new ScriptedModel([
      [functionCall('weather', { city: 'Bonn' }, { callId: 'w1' })],
      [functionCall('weather', { city: 'Bonn' }, { callId: 'w2' })],
      [functionCall('broken', {}, { callId: 'b1' })],
      [functionCall('transfer_to_Help_Desk', {}, { callId: 'h1' })],
    ]);
    const agent = new Agent({ name: 'Front', model, tools: [good, bad], handoffs: [helper] });
    const recorder = new RunRecorder(client, new Runner(), {
      agentId: 'front',
      sessionId: 'run_1',
    });
    await recorder.run(agent, 'weather?');
    const failing = new Agent({
      name: 'Front',
      model: new ScriptedModel([modelError(new Error('the model is down'))]),
    });
    await expect(recorder.run(failing, 'hi')).rejects.toThrow('the model is down');
    await recorder.close();

    const { memories } = await client.session('run_1').memories({ order: 'asc' });
    expect(memories.map((m) => [m.agent_id, m.event_type])).toEqual([
      ['Front', 'tool_call'],
      ['Front', 'tool_result'],
      ['Front', 'tool_call'],
      ['Front', 'tool_result'],
      ['Front', 'tool_call'],
      ['Front', 'error'],
      ['Front', 'handoff'],
      ['Help_Desk', 'agent_output'],
      ['Front', 'error'],
    ]);
    expect(memories[0]?.metadata).toMatchObject({ tool: 'weather', call_id: 'w1' });
    expect(memories[1]?.content).toContain('sunny in Bonn');
    expect(memories[6]?.content).toBe('Front handed over to Help Desk');
  });
});

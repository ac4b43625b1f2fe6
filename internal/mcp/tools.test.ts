import { Ajv } from 'ajv';
import { encode } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, test } from 'vitest';
import { MemoryClient } from './client.js';
import { checkArguments } from './schema.js';
import { toolView } from './server.js';
import { TOOLS } from './tools.js';
import type { WireCall, WireReply } from './wire.js';

/** What every client adds to every conversation. */
const TOKENS_MAX = 1_500;

function toolOf(name: string) {
  const tool = TOOLS.find((one) => one.name === `memtrace_${name}`);
  if (tool === undefined) throw new Error(`no tool ${name}`);
  return tool;
}

/** Runs a tool against answers that are given; tells what was called. */
async function run(name: string, args: Record<string, unknown>, reply: Partial<WireReply> = {}) {
  const calls: WireCall[] = [];
  const client = new MemoryClient(async (call) => {
    calls.push(call);
    return { status: 200, text: '{}', ...reply };
  });
  const tool = toolOf(name);
  const answer = await tool.run(client, checkArguments(args, tool.inputSchema));
  return { answer, call: calls[0] };
}

describe('the list of tools', () => {
  test('costs less than its budget', () => {
    const tokens = encode(JSON.stringify({ tools: TOOLS.map(toolView) })).length;
    expect(tokens).toBeLessThan(TOKENS_MAX);
  });

  test('has the names and arguments of the contract', () => {
    const listed = TOOLS.map(({ name, inputSchema: { properties, required = [] } }) => {
      const names = Object.keys(properties).map((one) =>
        required.includes(one) ? `*${one}` : one,
      );
      return `${name}: ${names.join(' ')}`;
    });
    expect(listed).toEqual([
      'memtrace_remember: *agent_id *content memory_type event_type session_id tags importance ' +
        'metadata',
      'memtrace_recall: *agent_id since session_id memory_type limit',
      'memtrace_search: agent_id content_contains memory_types tags since min_importance limit',
      'memtrace_decide: *agent_id *decision *reasoning session_id',
      'memtrace_session_create: *agent_id metadata',
      'memtrace_session_context: *session_id since include_types max_tokens',
      'memtrace_agent_register: *name description',
      'memtrace_forget: id session_id agent_id since until',
    ]);
  });

  test('has strict schemas that compile', () => {
    const ajv = new Ajv({ strict: true });
    for (const { inputSchema, outputSchema } of TOOLS) {
      expect(inputSchema.additionalProperties).toBe(false);
      ajv.compile(inputSchema);
      ajv.compile(outputSchema);
    }
  });

  test('marks what reads and what destroys', () => {
    for (const { name, permission, annotations } of TOOLS) {
      expect(annotations.readOnlyHint ?? false).toBe(permission === 'read');
      if (permission === 'read') continue;
      expect(annotations.destructiveHint).toBe(name === 'memtrace_forget');
    }
  });
});

describe('calls', () => {
  test('recall the last day, 50 at most, unless told otherwise', async () => {
    expect((await run('recall', { agent_id: 'a', session_id: null })).call).toEqual({
      method: 'GET',
      path: '/memories',
      query: { agent_id: 'a', since: '24h', limit: '50' },
    });
  });

  test('give all of a session as the markdown itself', async () => {
    const text = JSON.stringify({ context: '## Session Context (s)' });
    const { answer, call } = await run('session_context', { session_id: 's' }, { text });
    expect(call).toMatchObject({ path: '/sessions/:id/context', id: 's', body: { since: 'all' } });
    expect(answer.text).toBe('## Session Context (s)');
  });

  test('store a decision with its reason', async () => {
    const args = { agent_id: 'a', decision: 'go', reasoning: 'why not', session_id: 's' };
    expect((await run('decide', args)).call.body).toEqual({
      agent_id: 'a',
      session_id: 's',
      memory_type: 'decision',
      event_type: 'decision',
      content: 'go',
      metadata: { reasoning: 'why not' },
    });
  });

  test('name the fields of a decision as the model knows them', async () => {
    const text = JSON.stringify({
      error: 'content must be at most 9 bytes of UTF-8.',
      code: 'invalid_field',
      field: 'content',
    });
    const args = { agent_id: 'a', decision: 'too long for it', reasoning: 'r' };
    await expect(run('decide', args, { status: 400, text })).rejects.toMatchObject({
      problem: { error: 'decision must be at most 9 bytes of UTF-8.', field: 'decision' },
    });
  });

  test('refuse a result that no model can read', async () => {
    const text = JSON.stringify({ memories: ['x'.repeat(1024 * 1024)] });
    await expect(run('recall', { agent_id: 'a' }, { text })).rejects.toMatchObject({
      problem: { code: 'result_too_large' },
    });
  });

  test('make do with an error that is not of the API', async () => {
    await expect(
      run('recall', { agent_id: 'a' }, { status: 502, text: '<html>' }),
    ).rejects.toMatchObject({ problem: { code: 'http_502' } });
  });
});

describe('forget', () => {
  test.each([
    [{ id: 'mem_1' }, { path: '/memories/:id', id: 'mem_1' }],
    [{ session_id: 's' }, { path: '/memories', query: { session_id: 's' } }],
    [
      { agent_id: 'a', until: '7d' },
      { path: '/memories', query: { agent_id: 'a', until: '7d' } },
    ],
  ])('erases %o', async (args, call) => {
    const made = await run('forget', args, { erasureId: 'era_1' });
    expect(made.call).toEqual({ method: 'DELETE', ...call });
    if ('id' in args) expect(made.answer.value).toEqual({ deleted: 1, erasure_id: 'era_1' });
  });

  test.each([
    {},
    { since: '1h' },
    { agent_id: 'a' },
    { agent_id: 'a', since: null, until: null },
    { agent_id: 'a', since: '' },
    { agent_id: '', since: '1h' },
    { id: 'mem_1', agent_id: 'a', since: '1h' },
    { id: 'mem_1', since: '1h' },
    { session_id: 's', agent_id: 'a' },
    { session_id: 's', until: '1h' },
    { session_id: '' },
    { id: '..' },
    { id: 'x/../y' },
  ])('does nothing with %o', async (args) => {
    await expect(run('forget', args)).rejects.toMatchObject({ code: 'invalid_field' });
  });
});

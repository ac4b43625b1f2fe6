import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  AuthenticationError,
  ConflictError,
  InvalidRequestError,
  type Memtrace,
  NotFoundError,
  PermissionDeniedError,
} from '../src/index.js';
import { clientOf, serverAndClient, type TestServer } from './support.js';

let server: TestServer;
let client: Memtrace;

beforeAll(async () => {
  ({ server, client } = await serverAndClient());
});
afterAll(async () => {
  await server?.stop();
});

describe('the four verbs', () => {
  it('remembers, recalls, decides and logs errors', async () => {
    const memory = await client.remember('verbs', 'saw a page', { tags: ['a'], importance: 0.5 });
    expect(memory).toMatchObject({
      agent_id: 'verbs',
      memory_type: 'episodic',
      event_type: 'general',
      content: 'saw a page',
      tags: ['a'],
      importance: 0.5,
    });
    const decision = await client.decide('verbs', 'stop here', 'no more pages', {
      metadata: { depth: 2 },
    });
    expect(decision.metadata).toEqual({ depth: 2, reasoning: 'no more pages' });
    const logged = await client.logError('verbs', new RangeError('too deep'));
    expect(logged).toMatchObject({ event_type: 'error', content: 'too deep' });
    expect(logged.metadata).toMatchObject({ error: 'RangeError' });

    const { memories, has_more } = await client.recall('verbs');
    expect(memories.map((m) => m.content)).toEqual(['too deep', 'stop here', 'saw a page']);
    expect(has_more).toBe(false);
  });

  it('logs whatever was thrown, however long or broken its text', async () => {
    const logged = await client.logError('verbs', `${'x'.repeat(100_000)}`);
    expect(logged.content.length).toBe(16_000);
    const broken = await client.logError('verbs', new Error('half \ud83d and \0 nul'));
    expect(broken.content).toBe('half \ufffd and  nul');
    const empty = await client.logError('verbs', new TypeError(''));
    expect(empty.content).toBe('TypeError');
  });
});

describe('memories', () => {
  it('walks all pages of a list, in both orders and from an offset', async () => {
    const inputs = Array.from({ length: 25 }, (_, i) => ({
      agent_id: 'pages',
      content: `event ${i}`,
      time: new Date(Date.UTC(2026, 0, 1, 0, 0, i)),
    }));
    const batch = await client.memories.addMany(inputs);
    expect(batch.count).toBe(25);
    const contents: string[] = [];
    for await (const m of client.memories.list({ agent_id: 'pages', limit: 10, order: 'asc' })) {
      contents.push(m.content);
    }
    expect(contents).toEqual(inputs.map((m) => m.content));
    const newest = await client.memories.list({ agent_id: 'pages', limit: 10 }).toArray(12);
    expect(newest.map((m) => m.content)).toEqual(contents.toReversed().slice(0, 12));
    const from = client.memories.list({ agent_id: 'pages', limit: 10, offset: 5, order: 'asc' });
    expect((await from.toArray()).map((m) => m.content)).toEqual(contents.slice(5));
    const sizes: number[] = [];
    for await (const page of client.memories.list({ agent_id: 'pages', limit: 10 }).pages()) {
      sizes.push(page.count);
    }
    expect(sizes).toEqual([10, 10, 5]);
  });

  it('searches page by page', async () => {
    const search = { agent_id: 'pages', content_contains: 'EVENT 1', limit: 4 };
    const first = await client.search(search);
    expect(first).toMatchObject({ count: 4, has_more: true });
    expect(Number.isInteger(first.query_time_ms)).toBe(true);
    expect(await client.search(search).toArray()).toHaveLength(11);
  });

  it('takes dates and lists of tags as filters', async () => {
    await client.memories.add({ agent_id: 'tags', content: 'both', tags: ['x', 'y'] });
    await client.memories.add({ agent_id: 'tags', content: 'one', tags: ['x'] });
    const both = await client.memories.list({ agent_id: 'tags', tags: ['x', 'y'] });
    expect(both.memories.map((m) => m.content)).toEqual(['both']);
    const later = { agent_id: 'tags', since: new Date(Date.now() + 1_000) };
    expect((await client.memories.list(later)).count).toBe(0);
  });

  it('gets and deletes by id', async () => {
    const { id } = await client.remember('gone', 'forget me');
    expect((await client.memories.get(id)).content).toBe('forget me');
    const { erasure_id } = await client.memories.delete(id);
    expect(erasure_id).toMatch(/^era_/);
    expect(await client.upkeep.erasure(erasure_id ?? '')).toMatchObject({ id: erasure_id });
    await expect(client.memories.get(id)).rejects.toBeInstanceOf(NotFoundError);
    await expect(client.memories.delete(id)).rejects.toBeInstanceOf(NotFoundError);
  });

  it('deletes what matches, and never more because a variable was not set', async () => {
    await client.remember('wide', 'a', { session_id: 's1' });
    await client.remember('wide', 'b', { session_id: 's2' });
    const unset = client.memories.deleteWhere({ agent_id: 'wide', session_id: undefined });
    await expect(unset).rejects.toMatchObject({ code: 'invalid_field', field: 'session_id' });
    await expect(client.memories.deleteWhere({})).rejects.toBeInstanceOf(InvalidRequestError);
    expect(await client.memories.deleteWhere({ session_id: 's1', agent_id: 'wide' })).toMatchObject(
      { deleted: 1 },
    );
    expect((await client.recall('wide')).memories.map((m) => m.content)).toEqual(['b']);
  });
});

describe('streams', () => {
  it('uploads any iterable and exports all of it', async () => {
    async function* events() {
      for (let i = 0; i < 5_000; i += 1) {
        yield { agent_id: 'stream', content: `line ${i}`, dedup_key: `stream-${i}` };
      }
      yield { agent_id: '', content: 'bad' };
      yield { agent_id: 'stream', content: 'line 0 again', dedup_key: 'stream-0' };
    }
    const summary = await client.memories.upload(events());
    expect(summary).toMatchObject({ accepted: 5_000, duplicates: 1, rejected_count: 1 });
    expect(summary.rejected[0]?.line).toBe(5_001);

    const contents = new Set<string>();
    for await (const memory of client.memories.export({ agent_id: 'stream' })) {
      contents.add(memory.content);
    }
    expect(contents.size).toBe(5_000);
    const whole = client.memories.export({ agent_id: 'nobody' });
    expect(await whole.next()).toEqual({ done: true, value: { count: 0, incomplete: false } });
  });

  it('can leave an export in the middle', async () => {
    let count = 0;
    for await (const _ of client.memories.export({ agent_id: 'stream' })) {
      count += 1;
      if (count === 10) break;
    }
    expect(count).toBe(10);
  });

  it('throws the error of a source, and of a server that refuses', async () => {
    const boom = new Error('source broke');
    function* broken() {
      yield { agent_id: 'stream', content: 'before the break' };
      throw boom;
    }
    await expect(client.memories.upload(broken())).rejects.toBe(boom);
    const stranger = clientOf(server, { apiKey: 'mtk_wrong' });
    await expect(stranger.memories.upload([])).rejects.toBeInstanceOf(AuthenticationError);
    await expect(stranger.memories.export().next()).rejects.toBeInstanceOf(AuthenticationError);
  });
});

describe('agents, sessions, keys', () => {
  it('registers, finds, counts and removes agents', async () => {
    const agent = await client.agents.register({ name: 'crawler', config: { depth: 2 } });
    expect(agent).toMatchObject({ name: 'crawler', config: { depth: 2 } });
    expect(await client.agents.get('crawler')).toEqual(agent);
    await expect(client.agents.register({ name: 'crawler' })).rejects.toMatchObject({
      code: 'name_taken',
      status: 409,
    });
    for (let i = 0; i < 4; i += 1) await client.agents.register({ name: `crawler_${i}` });
    expect(await client.agents.list({ limit: 2 }).toArray()).toHaveLength(5);
    await client.remember('crawler', 'one');
    expect(await client.agents.stats('crawler')).toMatchObject({
      memory_count: 1,
      memory_types: { episodic: 1 },
    });
    expect((await client.agents.memories('crawler')).count).toBe(1);
    await client.agents.delete('crawler', { memories: true });
    expect((await client.agents.memories('crawler')).count).toBe(0);
    await expect(client.agents.get('crawler')).rejects.toBeInstanceOf(NotFoundError);
  });

  it('keeps a session and renders it for a prompt', async () => {
    const session = await client.startSession('worker', { task: 'crawl' });
    await session.remember('opened the shop');
    await session.decide('skip images', 'too slow');
    await session.logError(new Error('timeout'));
    const { context, memory_count, registered } = await session.context({ maxTokens: 500 });
    expect(memory_count).toBe(3);
    expect(registered).toBe(true);
    expect(context).toContain('opened the shop');
    expect(context).toContain('### Errors (1)');
    const small = await session.context({ maxTokens: 64, includeTypes: ['decision'] });
    expect(small.token_count).toBeLessThanOrEqual(64);
    expect(small.memory_count).toBe(1);
    const memories = await session.memories({ order: 'asc' }).toArray();
    expect(memories[0]?.content).toBe('opened the shop');

    await client.sessions.update(session.id, { metadata: { task: null, page: 3 } });
    expect((await session.get()).metadata).toEqual({ page: 3 });
    expect((await session.close()).status).toBe('closed');
    expect((await client.sessions.list({ status: 'closed', agent_id: 'worker' })).count).toBe(1);
    expect(await client.sessions.list({ agent_id: 'worker', limit: 1 }).toArray()).toHaveLength(1);
    await client.sessions.delete(session.id, { memories: true });
    await expect(session.get()).rejects.toBeInstanceOf(NotFoundError);
    expect((await session.memories()).count).toBe(0);
    await expect(client.session('free').remember('x')).rejects.toBeInstanceOf(TypeError);
  });

  it('makes keys, which may do what they say', async () => {
    const created = await client.keys.create({ name: 'reader', permissions: ['read'] });
    const reader = clientOf(server, { apiKey: created.key });
    expect(await reader.keys.self()).toMatchObject({ name: 'reader', permissions: ['read'] });
    await expect(reader.remember('a', 'b')).rejects.toBeInstanceOf(PermissionDeniedError);
    expect((await client.keys.list()).map((key) => key.name)).toContain('reader');
    await client.keys.revoke(created.id);
    await expect
      .poll(() => reader.keys.self().catch((error) => error.code), { timeout: 10_000 })
      .toBe('invalid_api_key');
  });

  it('reads and sets the retention, health and readiness', async () => {
    expect(await client.upkeep.retention()).toEqual({ days: null, source: 'server' });
    expect(await client.upkeep.setRetention(3_650)).toEqual({ days: 3_650, source: 'org' });
    expect((await client.upkeep.setRetention(null)).days).toBe(null);
    expect(await client.health()).toMatchObject({ status: 'ok', service: 'memtrace' });
    expect((await client.ready()).status).toBe('ready');
  });
});

describe('errors', () => {
  it('say what is wrong, where, and in which request', async () => {
    const error = await client.memories
      .addMany([
        { agent_id: 'ok', content: 'ok' },
        { agent_id: '1', content: 'x' },
      ])
      .catch((e) => e);
    expect(error).toBeInstanceOf(InvalidRequestError);
    expect(error).toMatchObject({
      status: 400,
      statusCode: 400,
      code: 'invalid_field',
      field: 'memories[1].agent_id',
    });
    expect(error.requestId).toMatch(/./);
  });

  it('name the memory that was there first', async () => {
    const first = await client.remember('twice', 'same');
    const error = await client.remember('twice', 'same').catch((e) => e);
    expect(error).toBeInstanceOf(ConflictError);
    expect(error.code).toBe('duplicate_memory');
    expect(error.existingId).toBe(first.id);
  });

  it('of a server that is not memtrace, or not there', async () => {
    const html = async () => new Response('<html>', { status: 200 });
    await expect(clientOf(server, { fetch: html }).keys.self()).rejects.toMatchObject({
      code: 'invalid_response',
    });
    const nowhere = clientOf(server, { baseUrl: 'http://127.0.0.1:9', retries: 0 });
    await expect(nowhere.keys.self()).rejects.toMatchObject({
      name: 'ConnectionError',
      code: 'connection_failed',
      status: 0,
    });
  });
});

describe('the names of the original client', () => {
  it('work as they did', async () => {
    const { Memtrace: Original } = await import('../src/index.js');
    const original = new Original(`${server.url}/`, server.key, { timeout: 5_000 });
    const memory = await original.addMemory({
      agent_id: 'old',
      memory_type: 'episodic',
      event_type: 'seen',
      content: 'one',
    });
    expect(memory.event_type).toBe('seen');
    const stored = await original.addMemories([
      { agent_id: 'old', memory_type: 'entity', event_type: 'seen', content: 'two' },
    ]);
    expect(stored.map((m) => m.content)).toEqual(['two']);
    const list = await original.listMemories({ agent_id: 'old', limit: 0, offset: 0 });
    expect(list.count).toBe(2);
    expect((await original.recall('old', '1h')).count).toBe(2);
    expect(
      (await original.searchMemories({ agent_id: 'old', content_contains: 'two' })).count,
    ).toBe(1);
    const agent = await original.registerAgent({ name: 'old' });
    expect((await original.getAgent(agent.id)).name).toBe('old');
    expect((await original.getAgentStats('old')).memory_count).toBe(2);
    const session = await original.createSession({ agent_id: 'old' });
    expect((await original.getSession(session.id)).id).toBe(session.id);
    expect((await original.listSessions('old')).count).toBe(1);
    expect((await original.listSessions()).count).toBeGreaterThan(0);
    expect((await original.getSessionContext(session.id, { max_tokens: 100 })).memory_count).toBe(
      0,
    );
    expect((await original.closeSession(session.id)).status).toBe('closed');
  });
});

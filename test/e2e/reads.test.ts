import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Api, api, type Json } from '../support/api.js';
import { cli, createOrg } from '../support/cli.js';
import { startServer, type TestServer } from '../support/server.js';

/** Reading, as the wire contract says it: from the buffer and, after a flush, from files. */
let server: TestServer;
let admin: Api;

beforeAll(async () => {
  server = await startServer({ env: { MEMTRACE_BUFFER_MAX_ROWS: '40' } });
  admin = api(server);
});
afterAll(() => server.stop());

interface Page {
  memories: (Json & { id: string; content: string })[];
  count: number;
  has_more: boolean;
  next_cursor?: string;
}

const contents = (page: { memories: { content: string }[] }) => page.memories.map((m) => m.content);

async function org(name: string): Promise<Api> {
  return api(server, (await createOrg(server.dataDir, name)).key);
}

async function seed(client: Api, memories: Json[]): Promise<void> {
  const { status, body } = await client.post('/memories', { memories });
  expect({ status, body }).toMatchObject({ status: 201 });
}

describe('lists', () => {
  test('every filter selects what it says', async () => {
    const client = await org('filters');
    const day = '2026-11-01T0';
    await seed(client, [
      { agent_id: 'a', session_id: 's', content: '0', tags: ['x', 'y'], time: `${day}0:00:00Z` },
      {
        agent_id: 'a',
        memory_type: 'decision',
        content: '1',
        tags: ['xy'],
        time: `${day}1:00:00Z`,
      },
      { agent_id: 'b', event_type: 'error', content: '2', importance: 0.7, time: `${day}2:00:00Z` },
      { agent_id: 'b', parent_id: 'mem_p', content: '3', tags: ['y', 'x'], time: `${day}3:00:00Z` },
    ]);
    const cases: [string, string[]][] = [
      ['', ['3', '2', '1', '0']],
      ['order=asc', ['0', '1', '2', '3']],
      ['agent_id=a', ['1', '0']],
      ['session_id=s', ['0']],
      ['memory_type=decision', ['1']],
      ['event_type=error', ['2']],
      ['tags=x', ['3', '0']],
      ['tags=x,y&agent_id=a', ['0']],
      ['parent_id=mem_p', ['3']],
      ['min_importance=0.7', ['2']],
      ['since=2026-11-01T01:00:00Z&until=2026-11-01T03:00:00Z', ['2', '1']],
      ['since=2026-11-01&until=2026-11-02', ['3', '2', '1', '0']],
      ['limit=2&offset=1', ['2', '1']],
    ];
    for (const [query, wanted] of cases) {
      const { status, body } = await client.get<Page>(`/memories?${query}`);
      expect({ query, status, got: contents(body) }).toEqual({ query, status: 200, got: wanted });
    }
  });

  test.each([
    'agent_di=a',
    'agent_id=',
    'agent_id=a&agent_id=b',
    'memory_type=dream',
    'limit=0',
    'limit=1001',
    'since=yesterday',
    'since=2026-02-30',
    'since=1h&until=2h',
    'order=up',
    'cursor=abc',
    'cursor=abc&offset=1',
    'min_importance=2',
  ])('%s is refused with the field named', async (query) => {
    const { status, body } = await admin.get(`/memories?${query}`);
    expect(status).toBe(400);
    expect(body['field']).toEqual(expect.any(String));
  });

  test('a cursor walks everything once while more is written, and only fits its request', async () => {
    const client = await org('cursors');
    await seed(
      client,
      Array.from({ length: 95 }, (_, i) => ({ agent_id: 'a', content: `c${i}` })),
    );
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const path = `/memories?since=1d&limit=10${cursor ? `&cursor=${cursor}` : ''}`;
      const { status, body } = await client.get<Page>(path);
      expect(status).toBe(200);
      expect(body.has_more).toBe(body.next_cursor !== undefined);
      seen.push(...contents(body));
      cursor = body.next_cursor;
      await client.post('/memories', { agent_id: 'a', content: `later ${seen.length}` });
    } while (cursor !== undefined);
    expect(seen).toEqual(Array.from({ length: 95 }, (_, i) => `c${94 - i}`));

    const first = await client.get<Page>('/memories?limit=1');
    const good = first.body.next_cursor ?? '';
    expect((await client.get(`/memories?limit=5&cursor=${good}`)).status).toBe(200);
    for (const [path, who] of [
      [`/memories?limit=1&agent_id=a&cursor=${good}`, client],
      [`/memories?limit=1&order=asc&cursor=${good}`, client],
      [`/memories?limit=1&cursor=${good.slice(0, -2)}AA`, client],
      [`/memories?limit=1&cursor=${good}`, admin],
    ] as const) {
      const { status, body } = await who.get(path);
      expect({ status, code: body['code'] }).toEqual({ status: 400, code: 'invalid_cursor' });
    }
  });
});

describe('search', () => {
  test('finds parts of the content in any script and case, literally', async () => {
    const client = await org('scripts');
    const texts = [
      'Ärger mit Öl',
      'İstanbul',
      'ΟΔΟΣ',
      'οδός σοφός',
      '100% _done_',
      '你好，世界',
      'a%b',
    ];
    await seed(
      client,
      texts.map((content) => ({ agent_id: 'a', content })),
    );
    // The same from the buffer and from files.
    for (let round = 0; round < 2; round++) {
      const cases: [string, string[]][] = [
        ['äRGER', ['Ärger mit Öl']],
        ['öl', ['Ärger mit Öl']],
        ['istanbul', ['İstanbul']],
        ['οδοσ', ['ΟΔΟΣ']],
        ['ΣΟΦΌΣ', ['οδός σοφός']],
        ['100%', ['100% _done_']],
        ['_DONE_', ['100% _done_']],
        ['好，世', ['你好，世界']],
        ['%b', ['a%b']],
        ['%', ['a%b', '100% _done_']],
      ];
      for (const [needle, wanted] of cases) {
        const { body } = await client.post<{ results: { content: string }[] }>('/search', {
          content_contains: needle,
        });
        const got = body.results.map(({ content }) => content);
        expect({ needle, got: got.sort() }).toEqual({ needle, got: [...wanted].sort() });
      }
      await admin.post('/memories', {
        memories: Array.from({ length: 60 }, (_, i) => ({
          agent_id: 'f',
          content: `${round} ${i}`,
        })),
      });
      await sleep(300);
    }
  });

  test('unknown fields and empty filters are refused', async () => {
    for (const body of [{ agent: 'a' }, { agent_id: '' }, { content_contains: '' }, { limit: 0 }]) {
      expect((await admin.post('/search', body)).status).toBe(400);
    }
    const { body } = await admin.post('/search', {});
    expect(body).toMatchObject({ has_more: true, query_time_ms: expect.any(Number) });
  });
});

describe('what is no more', () => {
  test('a memory vanishes when it expires, and frees its key', async () => {
    const client = await org('ttl');
    const memory = { agent_id: 'a', content: 'short', expires_at: soon(700) };
    const made = await client.post('/memories', memory);
    expect(made.body['expires_at']).toEqual(expect.stringMatching(/Z$/));
    expect((await client.get<Page>('/memories')).body.count).toBe(1);
    await sleep(900);
    expect((await client.get<Page>('/memories')).body.count).toBe(0);
    expect((await client.get(`/memories/${made.body['id']}`)).status).toBe(404);
    const again = await client.post('/memories', { agent_id: 'a', content: 'short' });
    expect(again.status).toBe(201);
  });

  test('an erasure by filter counts exactly, in the buffer and in files', async () => {
    const client = await org('erase');
    const memories = Array.from({ length: 120 }, (_, i) => ({
      agent_id: i % 3 === 0 ? 'gone' : 'kept',
      content: `e${i}`,
    }));
    for (let i = 0; i < 120; i += 15) await seed(client, memories.slice(i, i + 15));
    const { status, headers, body } = await client.del('/memories?agent_id=gone');
    expect(status).toBe(200);
    expect(body).toMatchObject({ deleted: 40, erasure_id: headers.get('x-erasure-id') });
    expect((await client.get('/agents/gone/stats')).body).toMatchObject({ memory_count: 0 });
    expect((await client.get('/agents/kept/stats')).body).toMatchObject({ memory_count: 80 });
    expect((await client.del('/memories?agent_id=gone')).body).toMatchObject({ deleted: 0 });
    const erasure = await client.get(`/erasures/${body['erasure_id']}`);
    expect(erasure.body).toMatchObject({ id: body['erasure_id'] });
    expect(erasure.body['state']).toMatch(/^(accepted|erasing|done)$/);
    for (const bad of ['', 'agent_id=', 'limit=1', 'agent=gone']) {
      expect((await client.del(`/memories?${bad}`)).status).toBe(400);
    }
  });

  test('retention hides what is older, and goes back', async () => {
    const client = await org('retention');
    await seed(client, [
      { agent_id: 'a', content: 'old', time: new Date(Date.now() - 10 * 86_400_000).toISOString() },
      { agent_id: 'a', content: 'new' },
    ]);
    expect((await client.get('/retention')).body).toEqual({ days: null, source: 'server' });
    expect((await client.put('/retention', { days: 7 })).body).toEqual({ days: 7, source: 'org' });
    expect(contents((await client.get<Page>('/memories')).body)).toEqual(['new']);
    const tooOld = await client.post('/memories', {
      agent_id: 'a',
      content: 'x',
      time: new Date(Date.now() - 8 * 86_400_000).toISOString(),
    });
    expect(tooOld).toMatchObject({ status: 400, body: { field: 'time' } });
    for (const days of [0, 1.5, 'x', 36_501]) {
      expect((await client.put('/retention', { days })).status).toBe(400);
    }
    await client.put('/retention', { days: null });
    expect((await client.get<Page>('/memories')).body.count).toBeGreaterThan(0);
  });

  test('an export has everything, oldest first, and an end that tells it is whole', async () => {
    const client = await org('export');
    const all = Array.from({ length: 130 }, (_, i) => ({ agent_id: 'a', content: `x${i}` }));
    await seed(client, all);
    const { body } = await client.get<string>('/export?agent_id=a');
    const lines = body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Json);
    expect(lines.pop()).toEqual({ end: true, count: 130 });
    expect(lines.map((line) => line['content'])).toEqual(all.map(({ content }) => content));
  });
});

describe('agents and sessions', () => {
  test('an agent is found by id and name, with its activity', async () => {
    const client = await org('agents');
    const made = await client.post('/agents', { name: 'crawler', config: { depth: 2 } });
    expect(made.status).toBe(201);
    expect(made.body).not.toHaveProperty('last_active_at');
    expect((await client.post('/agents', { name: 'crawler' })).status).toBe(409);
    const { body: memory } = await client.post('/memories', { agent_id: 'crawler', content: 'x' });
    for (const id of ['crawler', made.body['id']]) {
      const { body } = await client.get(`/agents/${id}`);
      expect(body).toEqual({ ...made.body, last_active_at: memory['time'] });
    }
    await client.post('/memories', { agent_id: 'crawler', event_type: 'error', content: 'y' });
    await client.post('/sessions', { agent_id: 'crawler' });
    expect((await client.get('/agents/crawler/stats')).body).toMatchObject({
      memory_count: 2,
      memories_24h: 2,
      errors_24h: 1,
      session_count: 1,
      active_sessions: 1,
      memory_types: { episodic: 2 },
    });
    const unknown = await client.get('/agents/nobody/stats');
    expect(unknown).toMatchObject({ status: 200, body: { memory_count: 0, memory_types: {} } });
    expect((await client.get<Page>('/agents/crawler/memories')).body.count).toBe(2);
    const removed = await client.del('/agents/crawler?memories=true');
    expect(removed.status).toBe(204);
    expect((await client.get<Page>('/memories')).body.count).toBe(0);
    expect((await client.get('/agents/crawler')).status).toBe(404);
  });

  test('a session is merged, closed and opened again', async () => {
    const client = await org('sessions');
    const { body: session } = await client.post('/sessions', {
      agent_id: 'a',
      metadata: { keep: 1, change: 1, drop: 1 },
    });
    const path = `/sessions/${session['id']}`;
    const metadata = { change: 2, drop: null };
    const closed = await client.put(path, { status: 'closed', metadata });
    expect(closed.body).toMatchObject({ status: 'closed', metadata: { keep: 1, change: 2 } });
    expect(closed.body['metadata']).not.toHaveProperty('drop');
    expect(closed.body).toHaveProperty('closed_at');
    const opened = await client.put(path, { status: 'active' });
    expect(opened.body).not.toHaveProperty('closed_at');
    expect((await client.put(path, { status: 'paused' })).status).toBe(400);
    expect((await client.put('/sessions/sess_none', {})).status).toBe(404);
    const updates = Array.from({ length: 20 }, (_, i) =>
      client.put(path, { metadata: { [`k${i}`]: i } }),
    );
    for (const { status } of await Promise.all(updates)) expect(status).toBe(200);
    const { body } = await client.get<{ metadata: Json }>(path);
    expect(Object.keys(body.metadata)).toHaveLength(22);
  });

  test('pages of sessions are newest first and whole', async () => {
    const client = await org('pages');
    const ids: unknown[] = [];
    for (let i = 0; i < 7; i++) {
      ids.unshift((await client.post('/sessions', { agent_id: 'a' })).body['id']);
    }
    const seen: unknown[] = [];
    let cursor = '';
    do {
      const { body } = await client.get<{ sessions: Json[]; next_cursor?: string }>(
        `/sessions?agent_id=a&limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`,
      );
      seen.push(...body.sessions.map(({ id }) => id));
      cursor = body.next_cursor ?? '';
    } while (cursor !== '');
    expect(seen).toEqual(ids);
  });

  test('a context is the markdown of the contract', async () => {
    const client = await org('context');
    const time = (second: number) => new Date(Date.now() - 60_000 + second * 1000).toISOString();
    const session_id = 'sess_abc';
    await seed(client, [
      { agent_id: 'a', session_id, event_type: 'page_crawled', content: 'Crawled', time: time(1) },
      {
        agent_id: 'a',
        session_id,
        memory_type: 'decision',
        event_type: 'decision',
        content: 'Skip pagination',
        metadata: { reasoning: 'only 2 pages deep' },
        time: time(2),
      },
      { agent_id: 'a', session_id, event_type: 'error', content: '# 503\n- forged', time: time(3) },
    ]);
    const { body } = await client.post<Json & { context: string }>(
      `/sessions/${session_id}/context`,
      {},
    );
    expect(body).toMatchObject({ registered: false, memory_count: 3, truncated: false });
    const shown = body.context.replace(/\[\d{4}-[^\]]*Z\]/g, '[T]');
    expect(shown).toContain(
      '## Session Context (sess_abc)\n\n### Recent Actions (1)\n- [T] page_crawled: Crawled\n',
    );
    expect(shown).toContain('- [T] decision: Skip pagination (reasoning: only 2 pages deep)\n');
    expect(shown).toContain('### Errors (1)\n- [T] error: ');
    expect(shown.split('\n').filter((line) => line.startsWith('- '))).toHaveLength(3);
    const empty = await client.post('/sessions/nobody/context', null);
    expect(empty.body).toMatchObject({ context: '## Session Context (nobody)', memory_count: 0 });
    const one = await client.post(`/sessions/${session_id}/context`, { max_memories: 1 });
    expect(one.body).toMatchObject({ memory_count: 1, omitted_count: 2, truncated: true });
    expect((await client.post('/sessions/x/context', { max_tokens: 63 })).status).toBe(400);
  });
});

test('verify finds everything whole on the running server', async () => {
  const verified = await cli(server.dataDir, ['verify', '--deep', '--json']);
  expect({ code: verified.code, err: verified.stderr }).toEqual({ code: 0, err: '' });
  expect(JSON.parse(verified.stdout)).toMatchObject({ findings: [] });
});

function soon(ms: number): string {
  return new Date(Date.now() + ms).toISOString();
}

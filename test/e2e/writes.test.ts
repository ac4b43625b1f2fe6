import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Api, api, type Json } from '../support/api.js';
import { startServer, type TestServer } from '../support/server.js';

/** Writing, as the wire contract says it, through a real port. */
let server: TestServer;
let admin: Api;

beforeAll(async () => {
  server = await startServer();
  admin = api(server);
});
afterAll(() => server.stop());

let counter = 0;
const fresh = (more: Json = {}): Json => {
  counter += 1;
  return { agent_id: 'writer', content: `event ${counter}`, ...more };
};

function raw(body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.url}/api/v1/memories`, {
    method: 'POST',
    headers: { 'x-api-key': server.key, 'content-type': 'application/json', ...headers },
    body,
  });
}

test('a memory comes back as it was sent, with what the server adds', async () => {
  const sent = {
    agent_id: 'writer',
    session_id: 'sess_1',
    memory_type: 'decision',
    event_type: 'plan',
    content: 'Zeile\n"quoted" 你好 😀 \u0001 \ufeff',
    metadata: { reasoning: 'weil', nested: { a: [1, null, 1.5, 'x'] }, ключ: true },
    tags: ['a', 'b.c', 'd_e-f'],
    importance: 0.25,
    parent_id: 'mem_0',
    time: '2026-11-01T10:00:00.123456+02:00',
    ttl: '90d',
    org_id: 'org_evil',
    id: 'mem_evil',
    unknown: 1,
  };
  const made = await admin.post('/memories', sent);
  expect(made.status).toBe(201);
  const { org_id, id, unknown, ttl, time, ...same } = sent;
  expect([org_id, id, unknown, ttl, time]).toHaveLength(5);
  expect(made.body).toMatchObject(same);
  expect(made.body).toMatchObject({ time: '2026-11-01T08:00:00.123456Z' });
  expect(made.body['id']).toMatch(/^mem_[0-9A-HJKMNP-TV-Z]{26}$/);
  expect(made.body['org_id']).toMatch(/^org_/);
  expect(made.body['dedup_key']).toMatch(/^[0-9a-f]{32}$/);
  expect(made.body).not.toHaveProperty('unknown');
  const got = await admin.get(`/memories/${made.body['id']}`);
  expect(got.body).toEqual(made.body);
});

test.each([
  ['content', { content: '' }],
  ['content', { content: 'a\u0000b' }],
  ['content', { content: '\ud800' }],
  ['content', { content: 'x'.repeat(65_537) }],
  ['agent_id', { agent_id: '1abc' }],
  ['agent_id', { agent_id: undefined }],
  ['session_id', { session_id: 'a b' }],
  ['memory_type', { memory_type: 'dream' }],
  ['event_type', { event_type: 'a-b' }],
  ['importance', { importance: 1.1 }],
  ['tags[1]', { tags: ['ok', 'not ok'] }],
  ['tags', { tags: Array.from({ length: 33 }, (_, i) => `t${i}`) }],
  ['metadata', { metadata: [] }],
  ['metadata.n', { metadata: { n: 2 ** 53 } }],
  ['metadata', { metadata: { x: 'y'.repeat(17_000) } }],
  ['time', { time: '2099-01-01T00:00:00Z' }],
  ['time', { time: '1969-12-31T23:59:59Z' }],
  ['ttl', { ttl: 'soon' }],
  ['expires_at', { expires_at: '2020-01-01T00:00:00Z' }],
  ['dedup_key', { dedup_key: 'k'.repeat(129) }],
])('one wrong field is named: %s', async (field, wrong) => {
  const single = await admin.post('/memories', fresh(wrong));
  expect(single.status).toBe(400);
  expect(single.body).toMatchObject({ code: 'invalid_field', field });
  const inBatch = await admin.post('/memories', { memories: [fresh(), fresh(wrong)] });
  expect(inBatch.status).toBe(400);
  expect(inBatch.body).toMatchObject({ field: `memories[1].${field}` });
});

test('a batch with one bad item stores nothing', async () => {
  const content = `only with its batch ${Date.now()}`;
  const batch = [fresh({ content }), fresh({ importance: 'much' })];
  expect((await admin.post('/memories', { memories: batch })).status).toBe(400);
  const found = await admin.post<{ count: number }>('/search', { content_contains: content });
  expect(found.body.count).toBe(0);
});

test('bodies that are no JSON, too large or coded otherwise', async () => {
  const cases: [number, string, Promise<Response>][] = [
    [400, 'invalid_json', raw('{"agent_id":')],
    [400, 'invalid_json', raw(Buffer.from([0x22, 0xff, 0x22]))],
    [400, 'invalid_json', raw('')],
    [400, 'invalid_json', raw(Buffer.from('not gzip'), { 'content-encoding': 'gzip' })],
    [400, 'invalid_field', raw('[]')],
    [400, 'invalid_field', raw('{"memories":[]}')],
    [400, 'invalid_field', raw('{"memories":{}}')],
    [413, 'body_too_large', raw(Buffer.alloc(11 * 2 ** 20, 32))],
    [
      413,
      'body_too_large',
      raw(gzipSync(Buffer.alloc(64 * 2 ** 20)), { 'content-encoding': 'gzip' }),
    ],
    [413, 'batch_too_large', raw(JSON.stringify({ memories: Array(1001).fill(fresh()) }))],
    [415, 'unsupported_media_type', raw('x', { 'content-encoding': 'br' })],
    [415, 'unsupported_media_type', raw('x', { 'content-type': 'text/csv' })],
  ];
  for (const [status, code, answer] of cases) {
    const response = await answer;
    const body = (await response.json()) as Json;
    expect({ ...body, status: response.status }).toMatchObject({ status, code });
  }
});

test('deep nesting and __proto__ are refused, not executed', async () => {
  const deep = `{"agent_id":"w","content":"x","metadata":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`;
  expect((await raw(deep)).status).toBe(400);
  const response = await raw('{"agent_id":"w","content":"x","metadata":{"__proto__":{"a":1}}}');
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ field: 'metadata.__proto__' });
});

test('gzip is taken', async () => {
  const body = gzipSync(JSON.stringify(fresh({ content: 'zipped 压缩' })));
  const response = await raw(body, { 'content-encoding': 'gzip' });
  expect(await response.json()).toMatchObject({ content: 'zipped 压缩' });
});

test('an equal memory within the window is a duplicate, and named', async () => {
  const memory = fresh();
  const first = await admin.post('/memories', memory);
  const second = await admin.post('/memories', memory);
  expect(second.status).toBe(409);
  expect(second.body).toMatchObject({ error: 'duplicate memory', id: first.body['id'] });
  const other = await admin.post('/memories', { ...memory, session_id: 'another' });
  expect(other.status).toBe(201);
  const batch = await admin.post('/memories', { memories: [memory, fresh(), memory] });
  expect(batch.body).toMatchObject({
    count: 1,
    duplicates: 2,
    skipped: [
      { index: 0, id: first.body['id'] },
      { index: 2, id: first.body['id'] },
    ],
  });
});

test('of many equal writes at once exactly one is stored', async () => {
  const memory = fresh();
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => admin.post('/memories', memory)),
  );
  const stored = answers.filter(({ status }) => status === 201);
  expect(stored).toHaveLength(1);
  for (const { status, body } of answers) {
    expect([201, 409]).toContain(status);
    expect(body['id']).toBe(stored[0].body['id']);
  }
});

test('batches that overlap crosswise end, and store each key once', async () => {
  const memories = Array.from({ length: 40 }, () => fresh());
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, i) => {
      const order = i % 2 === 0 ? memories : [...memories].reverse();
      return admin.post<{ count: number; duplicates: number }>('/memories', { memories: order });
    }),
  );
  const stored = answers.reduce((sum, { body }) => sum + body.count, 0);
  expect(stored).toBe(40);
});

test('deleting frees the key; the erased one is gone everywhere', async () => {
  const memory = fresh({ session_id: 'freed' });
  const first = await admin.post('/memories', memory);
  const gone = await admin.del(`/memories/${first.body['id']}`);
  expect(gone.status).toBe(204);
  expect(gone.headers.get('x-erasure-id')).toMatch(/^era_/);
  expect((await admin.get(`/memories/${first.body['id']}`)).status).toBe(404);
  expect((await admin.del(`/memories/${first.body['id']}`)).status).toBe(404);
  const again = await admin.post('/memories', memory);
  expect(again.status).toBe(201);
  expect(again.body['id']).not.toBe(first.body['id']);
});

test('the same Idempotency-Key gets the first answer', async () => {
  const key = `idem-${Date.now()}`;
  const headers = { 'idempotency-key': key };
  const memory = fresh({ metadata: { a: 1 } });
  const first = await admin.post('/memories', memory, { headers });
  const again = await admin.post('/memories', memory, { headers });
  expect(again.status).toBe(201);
  expect(again.body).toEqual(first.body);
  const other = await admin.post('/memories', fresh(), { headers });
  expect(other.status).toBe(422);
  await admin.del(`/memories/${first.body['id']}`);
  const deleted = await admin.post('/memories', memory, { headers });
  expect(deleted.body).toEqual({ ...first.body, deleted: true });
  expect((await admin.get(`/memories/${first.body['id']}`)).status).toBe(404);
});

test('an Idempotency-Key holds for batches, agents and sessions, and at once', async () => {
  const key = `many-${Date.now()}`;
  const headers = { 'idempotency-key': key };
  const batch = { memories: [fresh(), fresh()] };
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => admin.post('/memories', batch, { headers })),
  );
  for (const { status, body } of answers) {
    expect(status).toBe(201);
    expect(body).toEqual(answers[0].body);
  }
  for (const [path, body] of [
    ['/agents', { name: 'idem_agent', config: { a: 1 } }],
    ['/sessions', { agent_id: 'writer', metadata: { b: 2 } }],
  ] as const) {
    const [first, second] = await Promise.all([
      admin.post(path, body, { headers }),
      admin.post(path, body, { headers }),
    ]);
    expect(first.status).toBe(201);
    expect(second.body).toEqual(first.body);
  }
});

test('an error is not kept for an Idempotency-Key', async () => {
  const headers = { 'idempotency-key': `err-${Date.now()}` };
  const memory = fresh();
  await admin.post('/memories', memory);
  expect((await admin.post('/memories', memory, { headers })).status).toBe(409);
  expect((await admin.post('/memories', fresh(), { headers })).status).toBe(201);
});

test('a stream of lines tells what it took and what not', async () => {
  const line = fresh();
  const body = [
    JSON.stringify(line),
    '',
    '{"agent_id":',
    JSON.stringify({ agent_id: 'writer' }),
    JSON.stringify(line),
    `{"agent_id":"writer","content":"${'x'.repeat(1_100_000)}"}`,
    JSON.stringify(fresh({ content: 'last without line feed' })),
  ].join('\r\n');
  const response = await raw(body, { 'content-type': 'application/x-ndjson' });
  expect(response.status).toBe(200);
  const answer = (await response.json()) as { rejected: { line: number }[] };
  expect(answer).toMatchObject({ accepted: 2, duplicates: 1, rejected_count: 3 });
  expect(answer.rejected.map(({ line: at }) => at)).toEqual([3, 4, 6]);
  const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': 'x' };
  expect((await raw('{}', headers)).status).toBe(400);
});

test('request ids go round; unknown routes and methods say so', async () => {
  const named = await admin.get('/memories', { headers: { 'x-request-id': 'my-id.1' } });
  expect(named.headers.get('x-request-id')).toBe('my-id.1');
  const bad = await admin.get('/memories', { headers: { 'x-request-id': 'not ok' } });
  expect(bad.headers.get('x-request-id')).toMatch(/^[0-9A-Z]{26}$/);
  const missing = await admin.get('/nothing');
  expect(missing).toMatchObject({ status: 404, body: { code: 'not_found' } });
  const wrong = await admin.put('/memories', {});
  expect(wrong.status).toBe(405);
  expect(wrong.headers.get('allow')).toBe('POST, GET, DELETE');
});

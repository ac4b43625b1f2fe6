import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Api, api, type Json } from '../support/api.js';
import { cli } from '../support/cli.js';
import { startServer, type TestServer, tempDir } from '../support/server.js';

/** One organization, two days: the file of the older one is damaged. */
const WHOLE = '2026-03-02T12:00:00Z';
const LOST = '2026-03-01T12:00:00Z';
const WINDOW = { files: 1, since: '2026-03-01T12:00:00.000000Z' };
const LEFT_OUT = { incomplete: true, incomplete_window: WINDOW };
const ENV = { MEMTRACE_ERASURE_DEADLINE: '1m', MEMTRACE_COMPACTION_ENABLED: 'false' };

const dataDir = tempDir('memtrace-quarantine-');
let server: TestServer;
let client: Api;
let lostPath = '';
/** By content. */
const ids = new Map<string, string>();

beforeAll(async () => {
  await start();
  await client.post('/agents', { name: 'bot' });
  const session = { agent_id: 'bot', session_id: 'run' };
  const memories = [
    ...['lost 1', 'lost 2', 'lost 3'].map((content) => ({ ...session, content, time: LOST })),
    ...['whole 1', 'whole 2'].map((content) => ({ ...session, content, time: WHOLE })),
  ];
  const stored = await client.post<{ memories: Json[] }>('/memories', { memories });
  expect(stored.status).toBe(201);
  for (const { id, content } of stored.body.memories) ids.set(String(content), String(id));
  // A clean stop flushes.
  expect((await server.stop()).code).toBe(0);
  lostPath = parquetFiles().find((path) => path.includes('03-01') || path.includes('03/01')) ?? '';
  const bytes = readFileSync(lostPath);
  bytes[Math.floor(bytes.length / 3)] ^= 8;
  writeFileSync(lostPath, bytes);
  await start();
});
afterAll(() => server.stop());

async function start(): Promise<void> {
  server = await startServer({ dataDir, env: ENV });
  client = api(server);
}

function parquetFiles(): string[] {
  return readdirSync(join(dataDir, 'events'), { recursive: true, withFileTypes: true })
    .filter(({ name }) => name.endsWith('.parquet'))
    .map(({ parentPath, name }) => join(parentPath, name));
}

const idOf = (content: string): string => ids.get(content) ?? '';

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

async function mcp(name: string, args: Json): Promise<{ text: string; value: Json }> {
  const message = {
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name, arguments: args },
  };
  const response = await fetch(`${server.url}/mcp`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${server.key}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-06-18',
    },
    body: JSON.stringify(message),
  });
  const text = await response.text();
  const json = text.startsWith('{') ? text : (/^data: (.*)$/m.exec(text)?.[1] ?? '');
  const { result } = JSON.parse(json) as {
    result: { content: { text: string }[]; structuredContent: Json };
  };
  return { text: result.content[0]?.text ?? '', value: result.structuredContent };
}

test('every answer over the window says what was left out', async () => {
  const lists = ['/memories?since=2026-01-01', '/sessions/run/memories'];
  lists.push('/agents/bot/memories?since=2026-01-01');
  for (const path of lists) {
    const { status, body } = await client.get(path);
    expect({ path, status, body }).toMatchObject({ status: 200, body: { count: 2, ...LEFT_OUT } });
  }
  const skipped = await client.get('/memories?since=2026-01-01&offset=1500');
  expect(skipped.body).toMatchObject({ count: 0, ...LEFT_OUT });
  const found = await client.post('/search', { content_contains: '1' });
  expect(found.body).toMatchObject({ count: 1, ...LEFT_OUT });
  const context = await client.post('/sessions/run/context', { since: 'all' });
  expect(context.body).toMatchObject({ memory_count: 2, ...LEFT_OUT });
  expect((await client.get('/agents/bot/stats')).body).toMatchObject({
    memory_count: 2,
    ...LEFT_OUT,
  });
  const exported = await client.get<string>('/export');
  const lines = String(exported.body).trimEnd().split('\n');
  expect(lines).toHaveLength(3);
  expect(JSON.parse(lines[2])).toMatchObject({ end: true, count: 2, ...LEFT_OUT });
  expect(await metric('memtrace_partitions_quarantined')).toBe(1);
});

test('what the damage cannot touch says nothing of it', async () => {
  const { body } = await client.get('/memories?since=2026-03-02');
  expect(body).toMatchObject({ count: 2 });
  expect(body).not.toHaveProperty('incomplete');
  expect((await client.get(`/memories/${idOf('whole 1')}`)).status).toBe(200);
  // Its newest memory is known: what was left out is older.
  expect((await client.get('/agents/bot')).body).not.toHaveProperty('incomplete');
  expect((await client.get('/memories/mem_01ARZ3NDEKTSV4RRFFQ69G5FAV')).status).toBe(404);
});

test('one memory that may be in the file is neither there nor not found', async () => {
  const { status, body } = await client.get(`/memories/${idOf('lost 1')}`);
  expect(status).toBe(503);
  expect(body).toMatchObject({ code: 'memory_unreadable' });
  expect(String(body['hint'])).toContain('memtrace verify');
});

test('results of MCP tools say it too', async () => {
  const recalled = await mcp('memtrace_recall', { agent_id: 'bot', since: '2026-01-01' });
  expect(recalled.value).toMatchObject(LEFT_OUT);
  expect(recalled.text).toContain('"incomplete":true');
  expect((await mcp('memtrace_search', {})).value).toMatchObject(LEFT_OUT);
  const context = await mcp('memtrace_session_context', { session_id: 'run' });
  expect(context.value).toMatchObject(LEFT_OUT);
  expect(context.text).toContain('Incomplete: a damaged file');
  const window = { since: '2026-03-01T12:00:00Z', until: '2026-03-01T12:00:01Z' };
  const forgotten = await mcp('memtrace_forget', { agent_id: 'bot', ...window });
  expect(forgotten.value).toMatchObject({ deleted: 0, ...LEFT_OUT });
});

test('deletions are recorded, count what they can, and wait for the file', async () => {
  const one = await client.del(`/memories/${idOf('lost 2')}`);
  expect(one.status).toBe(204);
  const erasure = one.headers.get('x-erasure-id');
  // It is erased now, whatever the file holds.
  expect((await client.get(`/memories/${idOf('lost 2')}`)).status).toBe(404);
  expect((await client.del(`/memories/${idOf('lost 2')}`)).status).toBe(404);
  const many = await client.del('/memories?session_id=run&until=2026-03-02T00:00:00Z');
  expect(many.body).toMatchObject({ deleted: 0, ...LEFT_OUT });
  expect((await cli(dataDir, ['compact'])).code).toBe(0);
  const { body } = await client.get(`/erasures/${erasure}`);
  expect(body).toMatchObject({ state: 'erasing', files_left: 1 });
  expect(await metric('memtrace_erasures_blocked_files')).toBe(1);
});

test('the operator sees what would be lost, gives the file up, and the erasures end', async () => {
  const list = await cli(dataDir, ['quarantine', 'list', '--json']);
  expect(list.code).toBe(3);
  const { files } = JSON.parse(list.stdout) as { files: Json[] };
  expect(files).toMatchObject([{ rows: 3, day: '2026-03-01', orgs: [{ rows: 3 }] }]);
  const key = String(files[0]['key']);
  const asked = await cli(dataDir, ['quarantine', 'drop', key]);
  expect(asked.code).toBe(2);
  expect(asked.stdout).toContain('would be removed; days: 2026-03-01');
  expect((await cli(dataDir, ['quarantine', 'drop', '--yes'])).code).toBe(2);
  const unknown = await cli(dataDir, ['quarantine', 'drop', key, `${key}x`, '--yes']);
  expect(unknown.code).toBe(1);
  expect(unknown.stderr).toContain('is not in quarantine');
  expect(existsSync(lostPath)).toBe(true);
  const dropped = await cli(dataDir, ['quarantine', 'drop', key, '--yes', '--json']);
  expect(dropped.code).toBe(0);
  expect(JSON.parse(dropped.stdout)).toMatchObject({ dropped: true, rows: 3, files });
  expect(existsSync(lostPath)).toBe(false);
  for (let tries = 0; (await metric('memtrace_erasures_pending')) > 0 && tries < 50; tries++) {
    await sleep(100);
  }
  expect(await metric('memtrace_erasures_pending')).toBe(0);
  expect(await metric('memtrace_erasures_blocked_files')).toBe(0);
  expect(await metric('memtrace_partitions_quarantined')).toBe(0);
  const { body } = await client.get('/memories?since=2026-01-01');
  expect(body).toMatchObject({ count: 2 });
  expect(body).not.toHaveProperty('incomplete');
  expect((await client.get(`/memories/${idOf('lost 1')}`)).status).toBe(404);
  expect((await client.get('/ready')).body).toMatchObject({ status: 'ready' });
  expect((await cli(dataDir, ['verify'])).code).toBe(0);
});

test('offline it takes the lock: nothing left to give up', async () => {
  expect((await server.stop()).code).toBe(0);
  const list = await cli(dataDir, ['quarantine', 'list']);
  expect(list).toMatchObject({ code: 0, stdout: 'nothing is in quarantine\n' });
  expect((await cli(dataDir, ['quarantine', 'drop', '--all', '--yes'])).code).toBe(0);
  await start();
});

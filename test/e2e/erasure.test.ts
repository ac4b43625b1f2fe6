import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Api, api, type Json } from '../support/api.js';
import { cli, createOrg } from '../support/cli.js';
import type { Memory } from '../support/memory.js';
import { filesWith } from '../support/raw-files.js';
import { startServer, type TestServer, tempDir } from '../support/server.js';

/** What was erased is in no file of the data directory, and never comes back. */
const ENV = {
  MEMTRACE_BUFFER_MAX_ROWS: '50',
  MEMTRACE_BUFFER_MAX_AGE: '200ms',
  MEMTRACE_WAL_SEGMENT_SIZE: '1MiB',
  MEMTRACE_COMPACTION_ENABLED: 'false',
};
const dataDir = tempDir('memtrace-erasure-');
let server: TestServer;
let admin: Api;

beforeAll(async () => {
  server = await startServer({ dataDir, env: ENV });
  admin = api(server);
});
afterAll(() => server.stop());

async function write(memory: Json, client = admin): Promise<Memory> {
  const { status, body } = await client.post<Memory>('/memories', { agent_id: 'bot', ...memory });
  expect(status).toBe(201);
  return body;
}

/** Rows that stay, in the same files. */
async function others(count: number): Promise<void> {
  const memories = Array.from({ length: count }, (_, i) => ({
    agent_id: `a${i % 4}`,
    session_id: `other-${i % 7}`,
    content: `stays ${Math.random()}`,
  }));
  expect((await admin.post('/memories', { memories })).status).toBe(201);
}

async function compact(...args: string[]): Promise<Json> {
  const { code, stdout, stderr } = await cli(dataDir, ['compact', '--json', ...args]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as Json;
}

async function erasedBy(erasureId: string, client = admin): Promise<Json> {
  for (let tries = 0; ; tries++) {
    const { status, body } = await client.get(`/erasures/${erasureId}`);
    expect(status).toBe(200);
    if (body['state'] === 'done' || tries === 60) return body;
    await sleep(250);
    await compact();
  }
}

test('by id, session, agent and filter: from every file, and the key is free again', async () => {
  const marks = ['one', 'session', 'agent', 'window'].map((what) => `SECRET-${what}-蜜-4711`);
  const [one, inSession, ofAgent, inWindow] = marks;
  const stored = await write({ content: `${one} stored` });
  const key = { headers: { 'idempotency-key': 'k1' } };
  const body = { agent_id: 'bot', content: `${inSession} keyed`, session_id: 'sess-x' };
  expect((await admin.post('/memories', body, key)).status).toBe(201);
  for (let i = 0; i < 5; i++) {
    await write({ content: `${inSession} ${i}`, session_id: 'sess-x', metadata: { m: inSession } });
    await write({ content: `${ofAgent} ${i}`, agent_id: 'gone-agent' });
    const time = `2026-01-02T03:04:0${i}.000000Z`;
    await write({ content: `${inWindow} ${i}`, time });
    await others(40);
  }
  await sleep(600);
  const young = await write({ content: `${one} young` });
  for (const mark of marks) expect(await filesWith(dataDir, mark)).not.toEqual([]);

  const ids: string[] = [];
  for (const path of [
    `/memories/${stored.id}`,
    `/memories/${young.id}`,
    '/memories?session_id=sess-x',
    '/memories?agent_id=gone-agent',
    '/memories?since=2026-01-02&until=2026-01-03',
  ]) {
    const { status, headers, body: answer } = await admin.del<Json>(path);
    expect([200, 204]).toContain(status);
    ids.push(headers.get('x-erasure-id') ?? String(answer['erasure_id']));
  }
  const before = (await admin.get(`/erasures/${ids[2]}`)).body;
  expect(before).toMatchObject({ state: 'accepted' });
  expect(Number(before['files_left'])).toBeGreaterThan(0);

  await compact();
  for (const id of ids) {
    const done = await erasedBy(id);
    expect(done).toMatchObject({ state: 'done', files_left: 0 });
    expect(done['done_at']).toBeDefined();
  }
  for (const mark of marks) expect(await filesWith(dataDir, mark), mark).toEqual([]);
  const { body: page } = await admin.get<{ count: number }>('/memories?limit=1000');
  expect(page.count).toBe(200);

  const again = await admin.post('/memories', body, key);
  expect(again).toMatchObject({ status: 201, body: { deleted: true } });
  expect(await filesWith(dataDir, inSession)).toEqual([]);
  expect((await admin.get('/memories?session_id=sess-x')).body).toMatchObject({ count: 0 });
  await write({ content: `${one} stored` });
  const twice = await admin.post('/memories', { agent_id: 'bot', content: `${one} stored` });
  expect(twice.status).toBe(409);
});

test('a deleted organization leaves the disk, also over a restart', async () => {
  const org = await createOrg(dataDir, 'acme');
  const client = api(server, org.key);
  const mark = 'SECRET-of-acme-4712';
  for (let i = 0; i < 3; i++) await write({ content: `${mark} ${i}` }, client);
  await others(60);
  await sleep(600);
  const dropped = await cli(dataDir, ['org', 'delete', 'acme', '--yes', '--json']);
  expect(dropped.code).toBe(0);
  await server.kill9();
  server = await startServer({ dataDir, env: ENV });
  admin = api(server);
  for (let tries = 0; tries < 20; tries++) {
    if (Number((await compact())['erasuresPending']) === 0) break;
    await sleep(250);
  }
  expect(await filesWith(dataDir, mark)).toEqual([]);
});

test('compaction makes few files of many, and says what it would do', async () => {
  await others(60);
  await sleep(600);
  await others(60);
  const before = (await admin.get<{ memories: Memory[] }>('/memories?limit=1000')).body.memories;
  const preview = await compact('--dry-run');
  expect(preview).toMatchObject({ filesIn: 0, filesOut: 0 });
  const wrong = await cli(dataDir, ['compact', '--day', 'yesterday', '--json']);
  expect(wrong.code).toBe(1);
  const report = await compact();
  expect(Number(report['filesIn'])).toBeGreaterThan(Number(report['filesOut']));
  const after = (await admin.get<{ memories: Memory[] }>('/memories?limit=1000')).body.memories;
  expect(after).toEqual(before);
  expect(await compact('--dry-run')).toMatchObject({ groups: [] });
  const { body: metrics } = await admin.get<string>('/metrics');
  expect(metrics).toMatch(/^memtrace_compaction_runs_total [1-9]/m);
  expect(metrics).toMatch(/^memtrace_erasures_pending 0$/m);
  const verified = await cli(dataDir, ['verify', '--deep', '--json']);
  expect(JSON.parse(verified.stdout)).toMatchObject({ findings: [] });
});

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { type Api, api } from '../support/api.js';
import { cli, createOrg } from '../support/cli.js';
import { type Memory, walk } from '../support/memory.js';
import { startServer, type TestServer, tempDir } from '../support/server.js';

/** Export and import as an operator runs them, beside a server and without one. */
const running: TestServer[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop('SIGKILL')));
});

async function start(options: Parameters<typeof startServer>[0] = {}): Promise<TestServer> {
  const server = await startServer(options);
  running.push(server);
  return server;
}

interface Report {
  rows: number;
  stored: number;
  known: number;
  duplicates: number;
  deleted: number;
  expired: number;
  problem_count: number;
  problems: { line: number; field?: string; error: string }[];
}

async function exported(dataDir: string, out: string, ...args: string[]): Promise<string> {
  const all = ['export', '--org', 'default', '--out', out, '--json', ...args];
  const { code, stderr } = await cli(dataDir, all);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return readFileSync(out, 'utf8');
}

async function imported(dataDir: string, file: string, ...args: string[]): Promise<Report> {
  const all = ['import', file, '--org', 'default', '--json', ...args];
  const { stdout, stderr } = await cli(dataDir, all);
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Report;
}

const HOSTILE = [
  '\ufefffirst a BOM, \ufeff and one within',
  '中文，한국어, かな、😀👩‍👩‍👧‍👦',
  'line\nfeed\r\nreturn\u2028separator\u2029paragraph\ttab "quotes" \\ back \u0001\u007f',
  '{"end":true,"count":0}',
  'x'.repeat(65_536),
];

const DAY_MS = 86_400_000;

/** Every member, and texts that a reader of lines, JSON or Parquet could get wrong. */
async function fill(client: Api): Promise<void> {
  const now = Date.now();
  const full = HOSTILE.map((content, i) => ({
    agent_id: 'crawler',
    session_id: 's-1',
    memory_type: 'decision',
    event_type: 'error',
    content,
    metadata: { z: 1, 1: 'number', a: { 'ключ\u2028': [null, true, 0.1, -5e-324] }, t: content },
    tags: ['b.c', 'a-1', 'A_2'],
    importance: 0.1 + 0.2 * i,
    dedup_key: `own ${i} "ключ" 😀`,
    parent_id: `mem "${i}" \ufeff`,
    time: new Date(now - i * DAY_MS).toISOString().replace('Z', `${100 + i}Z`),
    expires_at: new Date(now + DAY_MS).toISOString(),
  })).map((memory) => {
    // Of the longest content only what fits into metadata.
    const metadata = { ...memory.metadata, t: memory.content.slice(0, 1_000) };
    return { ...memory, metadata };
  });
  expect((await client.post('/memories', { memories: full })).status).toBe(201);
  const plain = Array.from({ length: 1_100 }, (_, i) => ({ agent_id: 'a', content: `n ${i}` }));
  expect((await client.ndjson(plain)).body).toMatchObject({ accepted: 1_100 });
}

const readable = async (client: Api): Promise<Omit<Memory, 'org_id'>[]> => {
  const rows = await walk(client, 'limit=1000&order=asc');
  return rows.map(({ org_id, ...rest }) => rest);
};

test('what was exported and imported elsewhere exports to the same bytes', async () => {
  const dir = tempDir();
  const from = await start();
  await fill(api(from));
  const text = await exported(from.dataDir, join(dir, 'a.ndjson'));
  expect(text.endsWith('{"end":true,"count":1105}\n')).toBe(true);
  const dataDir = tempDir();
  const to = await start({ dataDir });
  const first = await imported(to.dataDir, join(dir, 'a.ndjson'));
  expect(first).toMatchObject({ rows: 1_105, stored: 1_105, known: 0, problem_count: 0 });
  expect(await exported(to.dataDir, join(dir, 'b.ndjson'))).toBe(text);
  expect(await readable(api(to))).toEqual(await readable(api(from)));

  const again = await imported(to.dataDir, join(dir, 'a.ndjson'));
  expect(again).toMatchObject({ rows: 1_105, stored: 0, known: 1_105 });
  // And once the rows are in files, without a server.
  expect((await to.stop('SIGTERM')).code).toBe(0);
  const offline = await imported(dataDir, join(dir, 'a.ndjson'));
  expect(offline).toMatchObject({ stored: 0, known: 1_105 });
  expect(await exported(dataDir, join(dir, 'c.ndjson'))).toBe(text);
});

test('a Parquet export holds the same, and so does what GET /export answers', async () => {
  const dir = tempDir();
  const from = await start();
  await fill(api(from));
  const text = await exported(from.dataDir, join(dir, 'a.ndjson'));
  await exported(from.dataDir, join(dir, 'a.parquet'));
  const answer = await fetch(`${from.url}/api/v1/export`, { headers: { 'x-api-key': from.key } });
  writeFileSync(join(dir, 'api.ndjson'), await answer.text());
  // Directories that nobody ever served from.
  for (const file of ['a.parquet', 'api.ndjson']) {
    const to = tempDir();
    expect(await imported(to, join(dir, file))).toMatchObject({ stored: 1_105 });
    expect(await exported(to, join(dir, `${file}.again`))).toBe(text);
  }
  const stdout = ['export', '--org', 'default', '--out', '-'];
  expect((await cli(from.dataDir, stdout)).stdout).toBe(text);
  expect(readdirSync(dir).filter((name) => name.startsWith('.memtrace'))).toEqual([]);
});

test('an export takes what its filters say, and refuses what it does not understand', async () => {
  const dir = tempDir();
  const server = await start();
  await fill(api(server));
  const some = await exported(server.dataDir, join(dir, 's'), '--session', 's-1', '--since', '36h');
  expect(some.split('\n').map((line) => JSON.parse(line || '{}').dedup_key)).toEqual([
    'own 1 "ключ" 😀',
    'own 0 "ключ" 😀',
    undefined,
    undefined,
  ]);
  const refused = async (...args: string[]) => {
    const { code, stderr } = await cli(server.dataDir, ['export', ...args]);
    return `${code} ${stderr}`;
  };
  const org = ['--org', 'default'];
  const out = ['--out', join(dir, 'x')];
  expect(await refused(...org, ...out, '--since', 'tuesday')).toMatch(/^2 error: since must be/);
  expect(await refused(...org, ...out, '--agent', '9')).toMatch(/^2 error: agent_id must be/);
  expect(await refused(...org, '--out', join(dir, 's'))).toMatch(/^2 error: .*exists already/);
  expect(await refused(...org, ...out, '--format', 'csv')).toMatch(/^2 error: --format must/);
  expect(await refused('--org', 'nobody', ...out)).toMatch(/^1 error: there is no organization/);
  expect(readdirSync(dir)).toEqual(['s']);
});

test('what was deleted since stays deleted, also once its bytes are gone', async () => {
  const dir = tempDir();
  const server = await start();
  const client = api(server);
  const write = (content: string, session_id: string) =>
    client.post('/memories', { agent_id: 'a', content, session_id });
  const one = await write('by id', 'kept');
  await write('of the session', 'gone');
  await write('stays', 'kept');
  const file = join(dir, 'a.ndjson');
  await exported(server.dataDir, file);
  expect((await client.del(`/memories/${one.body['id']}`)).status).toBe(204);
  expect((await client.del('/memories?session_id=gone')).body).toMatchObject({ deleted: 1 });
  expect(await imported(server.dataDir, file)).toMatchObject({ stored: 0, known: 1, deleted: 2 });
  expect((await cli(server.dataDir, ['compact'])).code).toBe(0);
  expect(await imported(server.dataDir, file)).toMatchObject({ stored: 0, known: 1, deleted: 2 });
  // What comes to the session after its deletion is another matter.
  await write('new', 'gone');
  const later = join(dir, 'b.ndjson');
  await exported(server.dataDir, later);
  expect(await imported(server.dataDir, later)).toMatchObject({ stored: 0, known: 2, deleted: 0 });
  // Another organization never asked for it.
  await createOrg(server.dataDir, 'other');
  const other = await cli(server.dataDir, ['import', file, '--org', 'other', '--json']);
  expect(JSON.parse(other.stdout)).toMatchObject({ stored: 3, known: 0, deleted: 0 });
});

test('mistakes are named by line and field, and nothing of the file is stored', async () => {
  const dir = tempDir();
  const server = await start();
  await fill(api(server));
  const good = (await exported(server.dataDir, join(dir, 'a.ndjson'))).split('\n');
  const target = await start();
  const tryLines = async (lines: string[], ...args: string[]): Promise<Report> => {
    const file = join(dir, 'bad.ndjson');
    writeFileSync(file, lines.join('\n'));
    return imported(target.dataDir, file, ...args);
  };
  const changed = (line: string, change: object) =>
    JSON.stringify({ ...(JSON.parse(line) as object), ...change });
  const soon = new Date(Date.now() + 3_600_000).toISOString();
  const bad = [
    'no json',
    changed(good[0], { tags: ['ok', 'not ok'] }),
    changed(good[0], { time: '2026-01-01T00:00:00Z' }),
    changed(good[0], { id: '../../etc/passwd' }),
    changed(good[0], { ingested_at: soon }),
    changed(good[0], { metadata: { a: 2 ** 60 } }),
    changed(good[0], { content: '' }),
    changed(good[0], { sesion_id: 'x' }),
    changed(good[0], { content: 'y'.repeat(65_537) }),
  ];
  const { problems, problem_count } = await tryLines([...good.slice(0, 1_000), '', ...bad]);
  expect(problems.map(({ line, field }) => [line, field])).toEqual([
    [1_002, undefined],
    [1_003, 'tags[1]'],
    [1_004, 'id'],
    [1_005, 'id'],
    [1_006, 'ingested_at'],
    [1_007, 'metadata.a'],
    [1_008, 'content'],
    [1_009, 'sesion_id'],
    [1_010, 'content'],
    [1_011, undefined],
  ]);
  expect(problem_count).toBe(10);
  expect(problems[9].error).toContain('the file was cut');
  const cut = await tryLines([...good.slice(0, 5), good[1_105]]);
  expect(cut.problems.map(({ error }) => error)).toEqual(['the file holds 5 rows, but says 1105']);
  expect(await walk(api(target), 'limit=1000')).toEqual([]);
  expect(await tryLines(good.slice(0, 5), '--allow-cut', '--check')).toMatchObject({ rows: 5 });
  expect(await walk(api(target), 'limit=1000')).toEqual([]);
  expect(await tryLines(good.slice(0, 5), '--allow-cut')).toMatchObject({ stored: 5 });
  const { code } = await cli(target.dataDir, ['import', join(dir, 'bad.ndjson'), '--org', 'none']);
  expect(code).toBe(1);
});

/** A row of an export as another installation could have written it. */
function row(i: number, timeMs: number, more: object = {}): string {
  const time = new Date(timeMs).toISOString();
  const ms = timeMs.toString(2).padStart(50, '0').match(/.{5}/g) ?? [];
  const head = ms.map((bits) => '0123456789ABCDEFGHJKMNPQRSTVWXYZ'[Number.parseInt(bits, 2)]);
  const id = `mem_${head.join('')}${String(i).padStart(16, '0')}`;
  return JSON.stringify({ id, agent_id: 'a', content: `${i}`, time, ingested_at: time, ...more });
}

test('keys of imported rows count within the window, over a kill too, and older ones do not', async () => {
  const dir = tempDir();
  const dataDir = tempDir();
  const server = await start({ dataDir });
  const client = api(server);
  const now = Date.now();
  const live = { agent_id: 'a', content: 'live', dedup_key: 'held' };
  expect((await client.post('/memories', live)).status).toBe(201);
  const file = join(dir, 'rows.ndjson');
  const lines = [
    row(1, now - 3_600_000, { dedup_key: 'young' }),
    row(2, now - 10 * DAY_MS, { dedup_key: 'old' }),
    // Ten days apart both are there; the younger one goes on holding the key.
    row(3, now - 10 * DAY_MS, { dedup_key: 'held' }),
    row(4, now - 60_000, { dedup_key: 'held' }),
    row(5, now - 2 * DAY_MS, { expires_at: new Date(now - DAY_MS).toISOString() }),
  ];
  writeFileSync(file, [...lines, '{"end":true,"count":5}', ''].join('\n'));
  const report = await imported(dataDir, file);
  expect(report).toMatchObject({ stored: 3, duplicates: 1, expired: 1, known: 0 });
  const probe = async (to: Api) => {
    const keys = ['young', 'held'].map((dedup_key) => ({ ...live, dedup_key }));
    return Promise.all(keys.map(async (body) => (await to.post('/memories', body)).status));
  };
  expect(await probe(client)).toEqual([409, 409]);
  await server.kill9();
  const again = await start({ dataDir });
  expect(await probe(api(again))).toEqual([409, 409]);
  expect((await cli(dataDir, ['compact'])).code).toBe(0);
  expect(await probe(api(again))).toEqual([409, 409]);
  const old = await api(again).post('/memories', { ...live, dedup_key: 'old' });
  expect(old.status).toBe(201);
  expect(await imported(dataDir, file)).toMatchObject({ stored: 0, known: 3 });
});

test('rows of a thousand days need few open files, and a killed import goes on', async () => {
  const dir = tempDir();
  const dataDir = tempDir();
  const env = { MEMTRACE_BUFFER_MAX_ROWS: '2000' };
  const server = await start({ dataDir, env });
  const now = Date.now();
  // Of all days at once, as no export of ours comes.
  const lines = Array.from({ length: 6_000 }, (_, i) => row(i, now - (i % 1_000) * DAY_MS));
  const file = join(dir, 'days.ndjson');
  writeFileSync(file, [...lines, '{"end":true,"count":6000}', ''].join('\n'));
  let most = 0;
  let alive = true;
  const look = setInterval(() => {
    if (alive) most = Math.max(most, readdirSync(`/proc/${server.pid}/fd`).length);
  }, 20);
  const first = cli(dataDir, ['import', file, '--org', 'default', '--json']);
  for (;;) {
    const { body } = await api(server).get<{ count: number }>('/memories?limit=1000');
    if (body.count === 1_000) break;
  }
  alive = false;
  clearInterval(look);
  await server.kill9();
  await first;
  expect(most).toBeGreaterThan(10);
  expect(most).toBeLessThan(200);
  const again = await start({ dataDir, env });
  const report = await imported(dataDir, file);
  expect(report.stored + report.known).toBe(6_000);
  expect(report.known).toBeGreaterThanOrEqual(1_000);
  const ids = (await walk(api(again), 'limit=1000')).map(({ id }) => id);
  expect(ids.length).toBe(6_000);
  expect(new Set(ids).size).toBe(6_000);
});

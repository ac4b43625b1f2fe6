import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { type Api, api } from '../support/api.js';
import { cli } from '../support/cli.js';
import { openFaultShim } from '../support/fault-shim/fault-shim.js';
import { startServer, type TestServer, tempDir } from '../support/server.js';

/** The whole server on disks that are full, that fail, and that lie. */
let server: TestServer | null = null;
let mounted = '';

afterEach(async () => {
  await server?.stop('SIGKILL');
  server = null;
  if (mounted !== '') spawnSync('umount', [mounted]);
  mounted = '';
});

function mountSmall(megabytes: number): string | null {
  const path = tempDir('memtrace-small-');
  const done = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', path]);
  if (done.status !== 0) return null;
  mounted = path;
  return path;
}

async function until<T>(ask: () => Promise<T>, good: (value: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries++) {
    const value = await ask();
    if (good(value) || tries > 200) return value;
    await sleep(50);
  }
}

async function allContents(client: Api): Promise<string[]> {
  const contents: string[] = [];
  let cursor = '';
  do {
    const path = `/memories?order=asc&limit=1000${cursor === '' ? '' : `&cursor=${cursor}`}`;
    const { body } = await client.get<{ memories: { content: string }[]; next_cursor?: string }>(
      path,
    );
    contents.push(...body.memories.map(({ content }) => content));
    cursor = body.next_cursor ?? '';
  } while (cursor !== '');
  return contents;
}

test('a full disk refuses writes, serves reads, and recovers without a restart', async () => {
  const dataDir = mountSmall(24);
  if (dataDir === null) return console.warn('skipped: mounting a tmpfs is not permitted here');
  const env = { MEMTRACE_WAL_SEGMENT_SIZE: '1MiB', MEMTRACE_BUFFER_MAX_AGE: '1h' };
  server = await startServer({ dataDir, env });
  const client = api(server);
  const write = (content: string) => client.post('/memories', { agent_id: 'full', content });
  const acked: string[] = [];
  for (let i = 0; i < 20; i++) {
    acked.push(`before ${i}`);
    expect((await write(`before ${i}`)).status).toBe(201);
  }
  const ballast = join(dataDir, 'ballast');
  // What is left after this is less than the log wants to grow by.
  spawnSync('dd', ['if=/dev/zero', `of=${ballast}`, 'bs=64k'], { stdio: 'ignore' });
  let refused = 0;
  for (let i = 0; i < 400 && refused < 5; i++) {
    const content = `during ${i} ${'x'.repeat(8_000)}`;
    const { status, body, headers } = await write(content);
    if (status === 201) acked.push(content);
    else {
      refused += 1;
      expect({ status, code: body['code'] }).toEqual({ status: 503, code: 'disk_full' });
      expect(headers.get('retry-after')).not.toBeNull();
    }
  }
  expect(refused).toBeGreaterThan(0);
  expect(await allContents(client)).toEqual(acked);
  const ready = await client.get('/ready');
  expect(ready).toMatchObject({ status: 200, body: { status: 'degraded' } });

  rmSync(ballast);
  const after = await until(
    () => write(`after ${Date.now()}`),
    ({ status }) => status === 201,
  );
  expect(after.status).toBe(201);
  await until(
    () => client.get('/ready'),
    ({ body }) => body['status'] === 'ready',
  );
  await server.kill9();
  server = await startServer({ dataDir, env });
  const stored = await allContents(api(server));
  expect(stored.slice(0, acked.length)).toEqual(acked);
  expect(stored).toHaveLength(acked.length + 1);
}, 120_000);

test('an fsync error of the log stops the server; what was acknowledged is there', async () => {
  const dir = tempDir();
  const shim = openFaultShim(dir);
  if (shim === null) return console.warn('skipped: no gcc to build the fault shim with');
  const dataDir = join(dir, 'data');
  mkdirSync(dataDir);
  server = await startServer({ dataDir, env: shim.env });
  const client = api(server);
  const first = await client.post('/memories', { agent_id: 'a', content: 'acknowledged' });
  expect(first.status).toBe(201);
  shim.set('/wal/ fsync EIO');
  const refused = await client.post('/memories', { agent_id: 'a', content: 'not acknowledged' });
  expect(refused).toMatchObject({ status: 503, body: { code: 'log_failed' } });
  const exit = await server.exited;
  expect(exit.code).not.toBe(0);
  shim.clear();
  server = await startServer({ dataDir });
  expect(await allContents(api(server))).toContain('acknowledged');
}, 60_000);

test('flipped bits of a data file never change an answer in silence', async () => {
  const dataDir = tempDir();
  server = await startServer({ dataDir });
  const client = api(server);
  const memories = Array.from({ length: 300 }, (_, i) => ({
    agent_id: 'flip',
    content: `row ${i}`,
  }));
  await client.post('/memories', { memories });
  // A clean stop flushes.
  expect((await server.stop()).code).toBe(0);
  const file = parquetFiles(dataDir)[0];
  const bytes = readFileSync(file);
  bytes[Math.floor(bytes.length / 3)] ^= 4;
  writeFileSync(file, bytes);
  const verify = await cli(dataDir, ['verify', '--json']);
  expect(verify.code).toBe(3);
  expect(JSON.parse(verify.stdout).findings).toContainEqual(
    expect.objectContaining({ severity: 'damage' }),
  );
  server = await startServer({ dataDir });
  const { status, body } = await api(server).get('/memories?agent_id=flip');
  expect(status).toBe(200);
  expect(body).toMatchObject({ count: 0, incomplete: true, incomplete_window: { files: 1 } });
  const ready = await api(server).get('/ready');
  expect(ready).toMatchObject({ status: 200, body: { status: 'degraded' } });
}, 60_000);

test('a damaged segment of the log is set aside, and the server starts', async () => {
  const dataDir = tempDir();
  server = await startServer({ dataDir });
  const client = api(server);
  for (let i = 0; i < 50; i++)
    await client.post('/memories', { agent_id: 'wal', content: `n ${i}` });
  await server.kill9();
  const wal = join(dataDir, 'wal');
  const segment = readdirSync(wal)
    .filter((name) => name.endsWith('.wal'))
    .sort()
    .at(-1);
  const path = join(wal, segment ?? '');
  const bytes = readFileSync(path);
  const at = bytes.indexOf('"n 20"');
  expect(at).toBeGreaterThan(0);
  bytes[at + 3] ^= 1;
  writeFileSync(path, bytes);
  server = await startServer({ dataDir });
  const contents = await allContents(api(server));
  expect(contents).toHaveLength(49);
  expect(contents).not.toContain('n 20');
  expect(server.logs.join('\n')).toContain('quarantine');
  const metrics = await api(server).get<string>('/metrics');
  expect(metrics.body).toMatch(/memtrace_wal_damaged_records_total 1\b/);
}, 60_000);

test('a newer format and a lost catalog are refused with a sentence', async () => {
  const dataDir = tempDir();
  const env = { MEMTRACE_WAL_SEGMENT_SIZE: '64KiB', MEMTRACE_BUFFER_MAX_ROWS: '1' };
  server = await startServer({ dataDir, env });
  for (let i = 0; i < 5; i++) {
    const content = `${i} ${'x'.repeat(40_000)}`;
    expect((await api(server).post('/memories', { agent_id: 'a', content })).status).toBe(201);
  }
  await server.stop();
  server = null;
  writeFileSync(join(dataDir, 'format.json'), JSON.stringify({ format: 99 }));
  const newer = await cli(dataDir, ['serve', '--port', '0']);
  expect(newer.code).toBe(1);
  expect(newer.stderr).toContain('newer');
  writeFileSync(join(dataDir, 'format.json'), JSON.stringify({ format: 1 }));
  rmSync(join(dataDir, 'memtrace.db'));
  const lost = await cli(dataDir, ['serve', '--port', '0']);
  expect(lost.code).toBe(1);
  expect(lost.stderr).toContain('catalog');
}, 60_000);

function parquetFiles(dataDir: string): string[] {
  return readdirSync(join(dataDir, 'events'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.name.endsWith('.parquet'))
    .map((entry) => join(entry.parentPath, entry.name));
}

import {
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Api, api, type Json } from '../support/api.js';
import { cli, createOrg } from '../support/cli.js';
import { NO_S3, S3_PROGRAM, type S3Server, startS3 } from '../support/s3-server.js';
import { startServer, type TestServer, tempDir } from '../support/server.js';

/** The drill: back up a server at work, kill it, lose its disk, restore, and miss nothing. */
const ENV = {
  MEMTRACE_BUFFER_MAX_ROWS: '60',
  MEMTRACE_BUFFER_MAX_AGE: '200ms',
  MEMTRACE_COMPACTION_INTERVAL: '200ms',
  MEMTRACE_COMPACTION_MIN_FILES: '2',
};

const running: TestServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop('SIGKILL')));
});

async function start(dataDir: string): Promise<TestServer> {
  const server = await startServer({ dataDir, env: ENV });
  running.push(server);
  return server;
}

interface Done {
  code: number | null;
  report: Json;
  stdout: string;
}

type Run = (...args: string[]) => Promise<Done>;

/** Runs `memtrace …` with --json. */
function runner(dataDir: string, env: Record<string, string>): Run {
  return async (...args) => {
    const { code, stdout, stderr } = await cli(dataDir, [...args, '--json'], env);
    expect(stdout + stderr).not.toContain(env['MEMTRACE_BACKUP_S3_SECRET_KEY'] ?? 'mtk_');
    return { code, stdout, report: JSON.parse(stdout || '{}') as Json };
  };
}

/** All that an organization can see: every event, session, agent and key. */
async function everything(client: Api): Promise<Json> {
  const events = (await client.get<string>('/export')).body.trim().split('\n').sort();
  const sessions = (await client.get<{ sessions: Json[] }>('/sessions?limit=1000')).body;
  const agents = (await client.get('/agents?limit=1000')).body;
  const keys = (await client.get<{ keys: Json[] }>('/keys')).body.keys;
  const lasting = keys.map(({ last_used_at: _, ...key }) => key);
  return { events, sessions, agents, keys: lasting };
}

/** Writes until it is stopped; the ids that were acknowledged. */
function writer(client: Api, sessionId: string): { stop(): Promise<string[]> } {
  let stopped = false;
  const ids: string[] = [];
  const work = async () => {
    for (let i = 0; !stopped; i++) {
      const memories = Array.from({ length: 10 }, (_, j) => ({
        agent_id: `a${j % 3}`,
        session_id: sessionId,
        content: `event ${i} ${j} of ${sessionId}`,
        time: new Date(Date.UTC(2026, 10, 20 + (i % 3), 12) + i * 1_000 + j).toISOString(),
      }));
      const { status, body } = await client.post<{ memories: Json[] }>('/memories', { memories });
      expect(status).toBe(201);
      ids.push(...body.memories.map(({ id }) => String(id)));
      await sleep(25);
    }
  };
  const done = work();
  return {
    async stop() {
      stopped = true;
      await done;
      return ids;
    },
  };
}

const idsOf = ({ events }: Json) =>
  (events as string[]).flatMap((line) => (JSON.parse(line) as { id?: string }).id ?? []);

interface Place {
  url: string;
  /** Its objects as files. */
  folder: string;
  env: Record<string, string>;
}

function drill(placeOf: () => Place): void {
  test('nothing is missing after the disk was lost', async () => {
    const { url, env } = placeOf();
    const dataDir = tempDir('memtrace-drill-');
    const run = runner(dataDir, env);
    const server = await start(dataDir);
    const org = await createOrg(dataDir, 'acme');
    const clients = [api(server), api(server, org.key)];
    const sessions = await Promise.all(
      clients.map((client) => client.post('/sessions', { agent_id: 'a1', metadata: { n: 1 } })),
    );
    const writers = clients.map((client, i) =>
      writer(client, String(sessions[i].body['session_id'] ?? sessions[i].body['id'])),
    );
    // Files are flushed, merged and removed all the time meanwhile.
    for (const flags of [[], ['--incremental'], []]) {
      await sleep(500);
      const { code, report } = await run('backup', 'create', '--to', url, ...flags);
      expect(code, JSON.stringify(report)).toBe(0);
      expect(report).toMatchObject({ missing: [], repaired: [], warnings: [] });
    }
    const acked = (await Promise.all(writers.map((each) => each.stop()))).flat();
    expect(acked.length).toBeGreaterThan(200);
    await clients[0].del(`/memories/${acked[0]}`);
    const last = await run('backup', 'create', '--to', url, '--incremental');
    expect(last.code).toBe(0);
    const before = await Promise.all(clients.map(everything));
    await server.kill9();
    rmSync(dataDir, { recursive: true });

    expect((await run('backup', 'verify', '--from', url)).report).toMatchObject({ findings: [] });
    const restored = await run('restore', '--from', url, '--to', dataDir);
    expect(restored.code).toBe(0);
    expect(restored.report).toMatchObject({ id: last.report['id'], missing: [], gaps: [] });
    const back = await start(dataDir);
    const after = [api(back), api(back, org.key)];
    expect(await Promise.all(after.map(everything))).toEqual(before);
    const there = new Set(before.flatMap(idsOf));
    expect(acked.filter((id) => !there.has(id))).toEqual([acked[0]]);
    await goesOn(back, after[0], idsOf(before[0])[0]);
    // Killed while it merged, a server may leave a file that nothing names: a warning.
    expect((await run('verify', '--deep')).code).toBe(0);
  }, 120_000);
}

/** A restored server is a server: it deletes what was restored, and takes what is new, for good. */
async function goesOn(server: TestServer, client: Api, restoredId: string): Promise<void> {
  expect((await client.del(`/memories/${restoredId}`)).status).toBe(204);
  expect((await client.get(`/memories/${restoredId}`)).status).toBe(404);
  const { body } = await client.post('/memories', { agent_id: 'new', content: 'after' });
  await server.kill9();
  const again = api(await start(server.dataDir));
  expect((await again.get(`/memories/${restoredId}`)).status).toBe(404);
  expect((await again.get(`/memories/${body['id']}`)).body).toMatchObject({ content: 'after' });
}

/** Files below a folder whose path matches. */
function objectsBelow(folder: string, pattern: RegExp): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return names.filter((name) => pattern.test(name)).map((name) => join(folder, name));
}

/** Flips a bit in a copy: the object may share its bytes with the server's own file. */
function damage(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] ^= 1;
  rmSync(path);
  writeFileSync(path, bytes);
}

function damaged(placeOf: () => Place): void {
  test('what is damaged or missing in the target is told, by verify and by restore', async () => {
    const { url, folder, env } = placeOf();
    const dataDir = tempDir('memtrace-damaged-');
    const run = runner(dataDir, env);
    const server = await start(dataDir);
    const memories = Array.from({ length: 50 }, (_, i) => ({ agent_id: 'a', content: `c ${i}` }));
    await api(server).post('/memories', { memories });
    await run('backup', 'create', '--to', url);
    const [file, other] = objectsBelow(folder, /files\/[0-9a-f]{2}\/[0-9a-f]{64}$/);
    const [database] = objectsBelow(folder, /memtrace\.db$/);
    const [manifest] = objectsBelow(folder, /manifest\.json$/);
    const outcomes: Json[] = [];
    for (const [path, harm] of [
      [file, damage],
      [other, rmSync],
      [database, damage],
      [database, rmSync],
      [manifest, damage],
      [manifest, rmSync],
    ] as const) {
      copyFileSync(path, join(dataDir, 'kept'));
      harm(path);
      const to = tempDir('memtrace-into-');
      const [verified, restored] = await Promise.all([
        run('backup', 'verify', '--from', url),
        run('restore', '--from', url, '--to', to),
      ]);
      const findings = (verified.report['findings'] as Json[] | undefined)?.length ?? 0;
      const missing = (restored.report['missing'] as Json[] | undefined)?.length ?? 0;
      const made = existsSync(join(to, 'memtrace.db'));
      outcomes.push({ verify: verified.code, findings, restore: restored.code, missing, made });
      rmSync(path, { force: true });
      copyFileSync(join(dataDir, 'kept'), path);
    }
    const lacking = { verify: 3, findings: 1, restore: 3, missing: 1, made: true };
    const useless = { verify: 3, findings: 1, restore: 1, missing: 0, made: false };
    const unknown = { verify: 1, findings: 0, restore: 1, missing: 0, made: false };
    expect(outcomes).toEqual([lacking, lacking, useless, useless, unknown, unknown]);
    // A full backup finds the damage and repairs it.
    damage(file);
    const repaired = await run('backup', 'create', '--to', url);
    expect(repaired.report['repaired']).toHaveLength(1);
    expect((await run('backup', 'verify', '--from', url)).code).toBe(0);
  }, 120_000);
}

describe('into a directory', () => {
  let place: Place;
  beforeAll(() => {
    const folder = tempDir('memtrace-backups-');
    place = { url: folder, folder, env: {} };
  });
  drill(() => place);
  damaged(() => ({ ...place, url: join(place.url, 'd'), folder: join(place.folder, 'd') }));

  test('a file that is damaged at its source is told, and so is its absence later', async () => {
    const dataDir = tempDir('memtrace-source-');
    const run = runner(dataDir, {});
    const server = await start(dataDir);
    await api(server).post('/memories', { agent_id: 'a', content: 'whole' });
    while ((await run('verify')).report['files'] === 0) await sleep(50);
    const [path] = objectsBelow(join(dataDir, 'events'), /\.parquet$/);
    damage(path);
    const url = join(place.url, 'source');
    const { code, report } = await run('backup', 'create', '--to', url);
    expect(code).toBe(3);
    expect(report['missing']).toMatchObject([{ role: 'events', rows: 1 }]);
    expect((await run('backup', 'verify', '--from', url)).code).toBe(3);
    const into = join(tempDir(), 'restored');
    const restored = await run('restore', '--from', url, '--to', into);
    expect([restored.code, restored.report['rows']]).toEqual([3, 0]);
    // The server of such a directory says so, too.
    const back = await start(into);
    const listed = await api(back).get('/memories?agent_id=a');
    expect(listed.body).toMatchObject({ memories: [], incomplete: true });
  });

  test('restore makes a directory and never replaces one', async () => {
    const dataDir = tempDir('memtrace-refuse-');
    const run = runner(dataDir, {});
    const url = join(place.url, 'refuse');
    // Without a server: the lock is taken instead.
    expect((await run('backup', 'create', '--to', url)).code).toBe(0);
    const full = tempDir();
    writeFileSync(join(full, 'mine'), 'x');
    expect((await run('restore', '--from', url, '--to', full)).code).toBe(2);
    expect(readdirSync(full)).toEqual(['mine']);
    const early = await run(
      'restore',
      '--from',
      url,
      '--to',
      'x',
      '--until',
      '2026-01-01T00:00:00Z',
    );
    expect(early.code).toBe(1);
    expect((await run('backup', 'create', '--to', join(dataDir, 'inside'))).code).toBe(2);
    expect((await run('backup', 'list', '--from', join(place.url, 'nowhere'))).code).toBe(1);
    expect((await run('backup', 'list')).code).toBe(2);
    const byOption = runner(dataDir, { MEMTRACE_BACKUP_TARGET: url });
    const listed = (await byOption('backup', 'list')).report['backups'];
    expect(listed).toMatchObject([{ state: 'complete', kind: 'full' }]);
    const pruned = await byOption('backup', 'prune', '--dry-run');
    expect(pruned).toMatchObject({ code: 0, report: { removed: [], objects: 0 } });
    expect(existsSync(join(place.url, 'nowhere'))).toBe(false);
  });
});

describe.skipIf(S3_PROGRAM === null)(`into a bucket of S3 (${S3_PROGRAM ?? NO_S3})`, () => {
  let s3: S3Server;
  beforeAll(async () => {
    s3 = await startS3();
  });
  afterAll(() => s3.stop());
  const placeAt = (prefix: string) => ({
    url: `s3://${s3.bucket}/${prefix}`,
    folder: join(s3.folder, prefix),
    env: s3.env,
  });
  drill(() => placeAt('drill'));
  damaged(() => placeAt('damaged/deep'));
});

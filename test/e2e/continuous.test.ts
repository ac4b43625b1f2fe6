import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { type Api, api, type Json } from '../support/api.js';
import { cli, createKey, createOrg } from '../support/cli.js';
import { startServer, type TestServer, tempDir } from '../support/server.js';

/** What a lost machine costs: the log, erasures and keys are in the target within `wal_every`. */
const WAL_EVERY_MS = 1_000;
/** A slow machine's look, send and sync. */
const MARGIN_MS = 1_500;

const running: TestServer[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop('SIGKILL')));
});

async function start(dataDir: string, target: string, more: Record<string, string> = {}) {
  const env = {
    MEMTRACE_BACKUP_TARGET: target,
    MEMTRACE_BACKUP_WAL_EVERY: `${WAL_EVERY_MS}ms`,
    MEMTRACE_BACKUP_INCREMENTAL_EVERY: '0s',
    MEMTRACE_BACKUP_FULL_EVERY: '0s',
    MEMTRACE_BUFFER_MAX_ROWS: '60',
    MEMTRACE_BUFFER_MAX_AGE: '200ms',
    ...more,
  };
  const server = await startServer({ dataDir, env });
  running.push(server);
  return server;
}

interface Written {
  id: string;
  ackedMs: number;
}

/** Writes one event after another until it is stopped, or the server is gone. */
function writer(client: Api, name: string): { stop(): Promise<Written[]> } {
  let stopped = false;
  const written: Written[] = [];
  const work = async () => {
    for (let i = 0; !stopped; i++) {
      const event = { agent_id: name, session_id: `s-${name}`, content: `event ${i}` };
      const answer = await client.post('/memories', event).catch(() => null);
      if (answer?.status !== 201) return;
      written.push({ id: String(answer.body['id']), ackedMs: Date.now() });
      await sleep(10);
    }
  };
  const done = work();
  return {
    async stop() {
      stopped = true;
      await done;
      return written;
    },
  };
}

async function exported(client: Api): Promise<Json[]> {
  const { status, body } = await client.get<string>('/export');
  expect(status).toBe(200);
  const lines = body
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Json);
  return lines.filter(({ id }) => id !== undefined);
}

const idsOf = (events: readonly Json[]) => events.map(({ id }) => String(id));

async function restore(target: string, to: string, ...flags: string[]) {
  const args = ['restore', '--from', target, '--to', to, '--json', ...flags];
  const { code, stdout, stderr } = await cli(to, args);
  return { code, stderr, report: JSON.parse(stdout || '{}') as Json };
}

const objectsBelow = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

test('a lost machine costs at most wal_every, and nothing erased or revoked is back', async () => {
  const target = tempDir('memtrace-target-');
  const dataDir = tempDir('memtrace-lost-');
  const server = await start(dataDir, target);
  const gone = await createOrg(dataDir, 'gone');
  const acme = await createOrg(dataDir, 'acme');
  const client = api(server, acme.key);
  const made = await cli(dataDir, ['backup', 'create', '--to', target, '--json']);
  expect(made.code, made.stderr).toBe(0);

  // All that follows is in no backup.
  const revoked = await createKey(dataDir, 'acme', 'read,write');
  const kept = await createKey(dataDir, 'acme', 'read');
  const erased = await client.post('/memories', { agent_id: 'x', content: 'erased by id' });
  await client.post('/memories', { agent_id: 'x', session_id: 'es', content: 'erased session' });
  await api(server, gone.key).post('/memories', { agent_id: 'x', content: 'of a deleted org' });
  const session = await client.post('/sessions', { agent_id: 'a1' });
  const writers = ['a', 'b'].map((name) => writer(client, name));
  await sleep(1_200);
  const untilMs = Date.now();
  await sleep(50);
  expect((await client.del(`/memories/${erased.body['id']}`)).status).toBe(204);
  expect((await client.del('/memories?session_id=es')).status).toBeLessThan(300);
  expect((await client.del(`/keys/${revoked.id}`)).status).toBeLessThan(300);
  expect((await cli(dataDir, ['org', 'delete', 'gone', '--yes'])).code).toBe(0);
  const late = await client.post('/sessions', { agent_id: 'late' });
  await sleep(WAL_EVERY_MS + MARGIN_MS);
  const killedMs = Date.now();
  await server.kill9();
  rmSync(dataDir, { recursive: true });
  const written = (await Promise.all(writers.map((each) => each.stop()))).flat();

  // Everything up to the last shipment.
  const all = await restore(target, dataDir);
  expect(all.code, all.stderr + JSON.stringify(all.report)).toBe(0);
  expect(all.report).toMatchObject({ gaps: [], missing: [] });
  const back = await start(dataDir, target);
  const now = api(back, acme.key);
  const ids = idsOf(await exported(now));
  expect(new Set(ids).size).toBe(ids.length);
  const safe = written.filter(({ ackedMs }) => ackedMs <= killedMs - WAL_EVERY_MS - MARGIN_MS);
  expect(safe.length).toBeGreaterThan(50);
  const there = new Set(ids);
  expect(safe.filter(({ id }) => !there.has(id))).toEqual([]);
  expect(there.has(String(erased.body['id']))).toBe(false);
  const sessionOf = ({ body }: { body: Json }) => `/sessions/${body['session_id'] ?? body['id']}`;
  expect((await now.get(sessionOf(session))).status).toBe(200);
  expect((await now.get(sessionOf(late))).status).toBe(200);
  expect((await api(back, kept.key).get('/memories?agent_id=a')).status).toBe(200);
  await expectNothingBack(back, { revoked: revoked.key, gone: gone.key, client: now });

  // A moment before anything was erased or revoked.
  const earlier = join(tempDir(), 'earlier');
  const until = new Date(untilMs).toISOString();
  const partly = await restore(target, earlier, '--until', until);
  expect(partly.code, JSON.stringify(partly.report)).toBe(0);
  const then = await start(earlier, '');
  const old = api(then, acme.key);
  const events = await exported(old);
  const expected = new Set(
    written.filter(({ ackedMs }) => ackedMs < untilMs - 20).map(({ id }) => id),
  );
  const found = new Set(idsOf(events));
  expect([...expected].filter((id) => !found.has(id))).toEqual([]);
  for (const { ingested_at } of events) {
    expect(Date.parse(String(ingested_at))).toBeLessThanOrEqual(untilMs);
  }
  expect(found.size).toBeLessThan(written.length);
  expect((await old.get(sessionOf(session))).status).toBe(200);
  expect((await old.get(sessionOf(late))).status).toBe(404);
  await expectNothingBack(then, { revoked: revoked.key, gone: gone.key, client: old });

  // The restored server is lost in its turn, without another backup.
  const second = await now.post('/memories', { agent_id: 'x', content: 'of the second life' });
  await sleep(WAL_EVERY_MS + MARGIN_MS);
  await back.kill9();
  rmSync(dataDir, { recursive: true });
  const again = await restore(target, dataDir);
  expect(again.code, JSON.stringify(again.report)).toBe(0);
  const third = await start(dataDir, '');
  const afterwards = idsOf(await exported(api(third, acme.key)));
  expect(afterwards.toSorted()).toEqual([...ids, String(second.body['id'])].toSorted());

  // What is missing in between is told.
  const logs = objectsBelow(join(target, 'log'));
  rmSync(logs[1]);
  const gap = await restore(target, join(tempDir(), 'gap'));
  expect(gap.code).toBe(3);
  expect(JSON.stringify(gap.report['gaps'])).toMatch(
    /records of the log, \d+ to \d+, are not here/,
  );
}, 60_000);

async function expectNothingBack(
  server: TestServer,
  { revoked, gone, client }: { revoked: string; gone: string; client: Api },
): Promise<void> {
  for (const key of [revoked, gone]) {
    expect((await api(server, key).get('/memories?agent_id=x')).status).toBe(401);
  }
  expect((await client.get('/memories?agent_id=x')).body).toMatchObject({ memories: [] });
}

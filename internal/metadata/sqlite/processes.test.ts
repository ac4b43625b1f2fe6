import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { agent, faultOf, key, NOON, org, partition, session, span } from '../fixtures.suite.js';
import { Database } from './database.js';
import { openSqliteMetadata } from './sqlite.js';

const built = new URL('../../../dist/internal/metadata/sqlite/sqlite.js', import.meta.url);

let dir = '';
let path = '';
const children: ChildProcess[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'metadata-processes-'));
  path = join(dir, 'memtrace.db');
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(dir, { recursive: true });
});

/** A process with the same store open as `metadata`; its lines of output, one by one. */
function another(body: string) {
  const script = `
    import { openSqliteMetadata } from ${JSON.stringify(built.href)};
    const metadata = await openSqliteMetadata({ path: ${JSON.stringify(path)} });
    const say = (text) => process.stdout.write(text + '\\n');
    ${body}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, next: async () => (await lines.next()).value as string | undefined };
}

test('what was acknowledged is there after kill -9, whenever it comes', async () => {
  for (let round = 0; round < 3; round++) {
    const { child, next } = another(`
      const orgId = 'org_${round}';
      await metadata.orgs.create({ id: orgId, name: orgId, createdUs: 1, retentionDays: null });
      const make = async (i) => {
        const id = 's' + i;
        await metadata.sessions.create({ orgId, id, agentId: 'a', status: 'active',
          metadataJson: '', createdUs: i, updatedUs: i, closedUs: null });
        say(id);
      };
      for (let i = 0; ; i += 8) await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((j) => make(i + j)));
    `);
    const acknowledged: (string | undefined)[] = [];
    while (acknowledged.length < 50 + round * 7) acknowledged.push(await next());
    child.kill('SIGKILL');
    await once(child, 'exit');
    const metadata = await openSqliteMetadata({ path });
    for (const id of acknowledged) {
      expect(await metadata.sessions.find(`org_${round}`, String(id))).not.toBeNull();
    }
    await metadata.close();
  }
});

test('a command in another process works while this one serves, and is seen at once', async () => {
  const metadata = await openSqliteMetadata({ path });
  await metadata.orgs.create(org('acme'));
  await metadata.keys.create(key('org_acme', 'ci'), 'digest');
  let stop = false;
  const serving = (async () => {
    for (let i = 0; !stop; i++) await metadata.sessions.create(session('org_acme', `s${i}`));
  })();
  const { next } = another(`
    await metadata.orgs.create({ id: 'org_new', name: 'new', createdUs: 1, retentionDays: null });
    say(await metadata.keys.revoke('org_acme', 'key_ci', 5));
    await metadata.close();
    say('closed');
  `);
  expect(await next()).toBe('revoked');
  expect((await metadata.keys.findByDigest('digest'))?.key.revokedUs).toBe(5);
  expect(await metadata.orgs.find('new')).not.toBeNull();
  expect(await next()).toBe('closed');
  stop = true;
  await serving;
  // The other one's close must not have taken the log of this one with it.
  await metadata.orgs.create(org('late'));
  await metadata.close();
  const again = await openSqliteMetadata({ path });
  expect((await again.orgs.list()).map((each) => each.name)).toContain('late');
  await again.close();
});

test('a write lock held elsewhere for too long is store_unavailable; reads go on', async () => {
  const metadata = await openSqliteMetadata({ path, busyTimeoutMs: 150 });
  await metadata.orgs.create(org('acme'));
  const other = new Database(path);
  other.begin();
  other.run("UPDATE orgs SET name = 'held'");
  const waiting = metadata.agents.create(agent('org_acme', 'crawler'));
  const reads = await Promise.all(Array.from({ length: 50 }, () => metadata.orgs.find('acme')));
  expect(reads.every((each) => each?.name === 'acme')).toBe(true);
  expect(await faultOf(waiting)).toBe('store_unavailable');
  const patient = metadata.agents.create(agent('org_acme', 'crawler'));
  other.rollback();
  await patient;
  other.close();
  await metadata.close();
});

test('a failing statement is an error that names it, never "not found"', async () => {
  const metadata = await openSqliteMetadata({ path });
  await metadata.orgs.create(org('acme'));
  const other = new Database(path);
  other.exec('PRAGMA foreign_keys = 0; DROP TABLE agents');
  other.close();
  await expect(metadata.agents.find('org_acme', 'x')).rejects.toThrow(/no such table: agents/);
  await metadata.close();
});

test('spans given up are swept, and their partition can no longer be committed', async () => {
  const { catalog, close } = await openSqliteMetadata({ path, stagingIdleMs: 0 }).then((each) => ({
    catalog: each.catalog,
    close: () => each.close(),
  }));
  await catalog.stage('par_1', [span('org_a'), span('org_b')]);
  expect(await catalog.sweepSpans()).toBe(2);
  const flush = { stream: 'log', from: 0, to: 1, partitions: [partition('par_1')], dedupRun: null };
  expect(await faultOf(catalog.commitFlush(flush))).toBe('internal');
  expect(await catalog.position('log')).toBe(0);
  await catalog.commitFlush({ ...flush, partitions: [partition('par_2')] });
  await close();
});

test('a deletion of an organization that a crash cut short is finished by the next open', async () => {
  const first = await openSqliteMetadata({ path });
  await first.orgs.create(org('acme'));
  await first.sessions.create(session('org_acme', 's1'));
  await first.close();
  const db = new Database(path);
  db.run('UPDATE orgs SET deleted_us = ?', NOON);
  db.close();
  const second = await openSqliteMetadata({ path });
  // Its purge was asked for before this, and writes keep their order.
  await second.setting('a', 'b');
  while (await second.sessions.find('org_acme', 's1')) await second.ping();
  await second.close();
});

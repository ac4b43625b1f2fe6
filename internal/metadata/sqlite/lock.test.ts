import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { acquireDirLock, type LockHolder } from './lock.js';

const me: LockHolder = { what: 'memtrace serve', pid: 41, host: 'box', startedAt: '2026-11-21' };
const built = new URL('../../../dist/internal/metadata/sqlite/lock.js', import.meta.url);

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lock-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** A process that tries to take the lock, says what came of it, and then sleeps. */
async function contender(): Promise<{ child: ChildProcess; said: string }> {
  const script = `
    import { acquireDirLock } from ${JSON.stringify(built.href)};
    const holder = { what: 'memtrace verify', pid: process.pid, host: 'child', startedAt: 'now' };
    acquireDirLock(${JSON.stringify(dir)}, holder)
      .then(() => console.log('taken'), (error) => console.log(error.message));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = await once(child.stdout, 'data');
  return { child, said: String(said).trim() };
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

test('a second one, in this process or another, is told who holds it', async () => {
  const lock = await acquireDirLock(dir, me);
  const message =
    `the data directory ${dir} is in use by memtrace serve (process 41 on box, since ` +
    '2026-11-21): stop that process first, or set another [storage] data_dir';
  await expect(acquireDirLock(dir, me)).rejects.toThrow(message);
  const { child, said } = await contender();
  await kill(child);
  expect(said).toBe(message);
  // The tries did not loosen it.
  const again = await contender();
  await kill(again.child);
  expect(again.said).toBe(message);
  await lock.release();
});

test('release frees it, twice does no harm, and the note goes', async () => {
  const first = await acquireDirLock(dir, me);
  expect(JSON.parse(readFileSync(join(dir, 'lock.json'), 'utf8'))).toEqual(me);
  // The open transaction keeps an empty journal beside it.
  const names = readdirSync(dir);
  expect(names).toEqual(['lock.db', 'lock.db-journal', 'lock.json']);
  for (const name of names) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  await first.release();
  const second = await acquireDirLock(dir, me);
  await first.release();
  await expect(acquireDirLock(dir, me)).rejects.toThrow(/in use/);
  await second.release();
  expect(readdirSync(dir)).toEqual(['lock.db']);
});

test('kill -9 of the holder frees it at once', async () => {
  const { child, said } = await contender();
  expect(said).toBe('taken');
  await expect(acquireDirLock(dir, me)).rejects.toThrow(
    `memtrace verify (process ${child.pid} on child, since now)`,
  );
  await kill(child);
  await (await acquireDirLock(dir, me)).release();
});

test('a directory that is not there is an error that names it', async () => {
  await expect(acquireDirLock(join(dir, 'no'), me)).rejects.toThrow(/cannot lock.*no: .*ENOENT/);
});

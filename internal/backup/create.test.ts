import { readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LocalObjects } from '../objects/local.js';
import { keysOf } from '../objects/objects.suite.js';
import { manifestKey } from './manifest.js';
import { DirectMover } from './mover.js';
import { entriesOf, readManifest } from './target.js';
import { verifyBackup } from './verify.js';
import { dyingAfter, World } from './world.suite.js';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

const verified = async (id = 'latest') => {
  const { target } = world;
  return verifyBackup({ objects: target, mover: new DirectMover(target) }, id);
};

test('a second backup copies only what is new', async () => {
  await world.addFile('one');
  expect(await world.backup('full')).toMatchObject({ copiedFiles: 1, files: 1, verifiedFiles: 1 });
  await world.addFile('two');
  const second = await world.backup('incremental');
  expect(second).toMatchObject({ copiedFiles: 1, copiedBytes: 3, files: 2, rows: 2, position: 2 });
  expect(await keysOf(world.target, 'files')).toHaveLength(2);
  expect((await verified()).findings).toEqual([]);
  expect(await readdir(world.tmpDir)).toEqual([]);
});

test('what is removed from the catalog meanwhile is in the backup all the same', async () => {
  await world.addFile('merged soon');
  world.afterSnapshot = async () => {
    expect(world.held).toBe(1);
    await world.dropAll();
  };
  expect(await world.backup('full')).toMatchObject({ files: 1, missing: [] });
  expect(world.held).toBe(0);
  expect((await verified()).findings).toEqual([]);
});

test('a file that is gone or damaged is missing, and nothing else is', async () => {
  const gone = await world.addFile('gone');
  await writeFile(await world.addFile('whole'), 'whale');
  await world.addFile('fine');
  await rm(gone);
  const report = await world.backup('full');
  expect(report.files).toBe(1);
  const reasons = report.missing.map(({ reason }) => reason).sort();
  expect(reasons).toEqual(['the file is damaged', 'the file is not there']);
  expect((await verified()).findings).toHaveLength(2);
});

test('killed anywhere, it leaves no backup, and the next one is whole', async () => {
  for (const content of ['a', 'b', 'c']) await world.addFile(content);
  for (let changes = 0; ; changes++) {
    const dying = dyingAfter(changes, world.target);
    const outcome = await world.backup('full', dying).catch((error: Error) => error.message);
    const whole = (await entriesOf(world.target)).filter(({ manifest }) => manifest !== null);
    for (const { id } of whole) expect((await verified(id)).findings).toEqual([]);
    expect(world.held).toBe(0);
    if (!dying.died) {
      expect(outcome).toMatchObject({ files: 3, missing: [] });
      // Marker, three files, database, manifest; then the marker goes.
      expect(changes).toBe(7);
      return;
    }
    expect(outcome).toBe('killed');
    // Only the removal of the marker comes after the manifest.
    expect(whole).toHaveLength(changes === 6 ? 1 : 0);
    for (const key of await keysOf(world.target, 'files')) await world.target.delete(key);
    for (const { keys } of await entriesOf(world.target)) {
      for (const key of keys) await world.target.delete(key);
    }
  }
});

test('a full backup finds damage in the target and repairs it', async () => {
  await world.addFile('precious');
  await world.backup('full');
  const [key] = await keysOf(world.target, 'files');
  const path = world.target.path(key);
  await rm(path);
  await writeFile(path, 'precioux');
  expect((await verified()).findings).toMatchObject([{ key, message: /damaged/ }]);
  expect((await world.backup('incremental')).repaired).toEqual([]);
  expect((await world.backup('full')).repaired).toEqual([key]);
  expect((await verified()).findings).toEqual([]);
});

test('an object that a prune took away while the backup counted on it is copied again', async () => {
  await world.addFile('reused');
  await world.backup('full');
  const [key] = await keysOf(world.target, 'files');
  const objects = Object.create(world.target) as LocalObjects;
  objects.list = async function* (prefix) {
    yield* world.target.list(prefix);
    // Right after the first look at what is there.
    if (prefix === 'files' && (await world.target.delete(key)))
      objects.list = LocalObjects.prototype.list;
  };
  expect(await world.backup('incremental', objects)).toMatchObject({ copiedFiles: 1 });
  expect((await verified()).findings).toEqual([]);
});

test('copies of the database that a crash left are removed', async () => {
  const left = join(world.tmpDir, 'bak_01JD0000000000000000000000.db');
  await writeFile(left, 'x');
  await writeFile(join(world.tmpDir, 'other'), 'x');
  await utimes(left, 1, 1);
  const { id } = await world.backup('full');
  expect(await readdir(world.tmpDir)).toEqual(['other']);
  expect((await readManifest(world.target, id)).database.bytes).toBeGreaterThan(0);
  expect(await world.target.stat(manifestKey(id))).not.toBeNull();
});

import { cp, rm, utimes, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LocalObjects } from '../objects/local.js';
import type { Objects } from '../objects/objects.js';
import { keysOf } from '../objects/objects.suite.js';
import { manifestKey } from './manifest.js';
import { DirectMover } from './mover.js';
import { prune } from './prune.js';
import { entriesOf, mark } from './target.js';
import { verifyBackup } from './verify.js';
import { dyingAfter, last, World } from './world.suite.js';

let world: World;
beforeEach(async () => {
  world = await World.open();
});
afterEach(() => world.close());

const ONLY_NEWEST = { hourly: 1, daily: 0, weekly: 0 };
const DAY_MS = 86_400_000;

/** Three backups: the first two name a file that the last one does not. */
async function threeBackups(): Promise<string[]> {
  await world.addFile('old');
  const first = await world.backup('full');
  await world.addFile('newer');
  const second = await world.backup('incremental');
  await world.dropAll();
  await world.addFile('newest');
  const third = await world.backup('full');
  return [first.id, second.id, third.id];
}

const pruned = (objects: Objects = world.target, more: { dryRun?: boolean; inMs?: number } = {}) =>
  prune(objects, {
    policy: ONLY_NEWEST,
    nowUs: (Date.now() + (more.inMs ?? 2 * DAY_MS)) * 1000,
    graceMs: DAY_MS,
    dryRun: more.dryRun === true,
  });

async function allWhole(target: Objects = world.target): Promise<string[]> {
  const entries = await entriesOf(target);
  const ids = entries.flatMap(({ manifest }) => (manifest === null ? [] : [manifest.id]));
  for (const id of ids) {
    const parts = { objects: target, mover: new DirectMover(target) };
    expect((await verifyBackup(parts, id)).findings).toEqual([]);
  }
  return ids;
}

test('removes backups that are not kept, and what only they named', async () => {
  const ids = await threeBackups();
  const planned = await pruned(world.target, { dryRun: true });
  expect(await keysOf(world.target, 'files')).toHaveLength(3);
  const report = await pruned();
  expect(report).toEqual(planned);
  expect(report).toMatchObject({ kept: [ids[2]], objects: 2, bytes: 8, left: null });
  expect([...report.removed].sort()).toEqual(ids.slice(0, 2));
  expect(await allWhole()).toEqual([ids[2]]);
  expect(await keysOf(world.target, 'files')).toHaveLength(1);
  expect(await keysOf(world.target, 'backups')).toHaveLength(2);
});

test('killed anywhere, what is kept is whole, and the next one ends the work', async () => {
  const ids = await threeBackups();
  for (let changes = 0; ; changes++) {
    const root = `${world.target.root}-${changes}`;
    await cp(world.target.root, root, { recursive: true, preserveTimestamps: true });
    const target = await LocalObjects.open(root);
    const dying = dyingAfter(changes, target);
    await pruned(dying).catch(() => undefined);
    expect(await allWhole(target)).toContain(ids[2]);
    await pruned(target);
    expect(await allWhole(target)).toEqual([ids[2]]);
    expect(await keysOf(target, 'files')).toHaveLength(1);
    if (!dying.died) return expect(changes).toBeGreaterThan(6);
  }
});

test('what was just written stays, whoever names it', async () => {
  await threeBackups();
  const path = world.target.path(last(await keysOf(world.target, 'files')));
  await utimes(path, new Date(), new Date());
  expect(await pruned(world.target, { inMs: 0 })).toMatchObject({ objects: 0, left: null });
  expect(await keysOf(world.target, 'files')).toHaveLength(3);
});

test('while a backup is made nothing is removed that it may count on', async () => {
  await threeBackups();
  const id = `bak_${world.ulids.next(Date.now())}`;
  await mark(world.target, id);
  const report = await pruned(world.target, { inMs: 3_600_000 });
  expect(report).toMatchObject({ objects: 0, left: expect.stringContaining(id) });
  expect(report.removed).toHaveLength(2);
  // Given up long ago: a crash.
  expect(await pruned()).toMatchObject({ objects: 2, left: null });
  expect(await keysOf(world.target, `backups/${id}`)).toEqual([]);
});

test('a damaged manifest keeps everything that it may name', async () => {
  const [first] = await threeBackups();
  const path = world.target.path(manifestKey(first));
  await rm(path);
  await writeFile(path, '{"manifest": {}, "sha256": ""}');
  const report = await pruned();
  expect(report).toMatchObject({ objects: 0, damaged: true });
  expect(report.left).toContain(first);
  expect(await keysOf(world.target, 'files')).toHaveLength(3);
});

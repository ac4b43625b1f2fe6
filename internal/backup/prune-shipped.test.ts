import { mkdtempSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { UlidFactory } from '../base/ulid.js';
import { LocalObjects } from '../objects/local.js';
import { Ledger, readLedger } from './ledger.js';
import { encodeManifest, type Manifest, manifestKey } from './manifest.js';
import { pruneShipped } from './prune-shipped.js';

const HOUR_US = 3_600_000_000;
const NOW = Date.UTC(2026, 10, 28, 12) * 1000;

let root: string;
let objects: LocalObjects;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'memtrace-pruned-'));
  objects = await LocalObjects.open(root);
});

afterEach(() => rmSync(root, { recursive: true }));

/** An object that was sent so many hours ago. */
async function sent(key: string, hoursAgo: number): Promise<void> {
  await objects.put(key, Buffer.from('x'));
  const seconds = (NOW - hoursAgo * HOUR_US) / 1_000_000;
  utimesSync(objects.path(key), seconds, seconds);
}

async function backup(hoursAgo: number): Promise<void> {
  const createdUs = NOW - hoursAgo * HOUR_US;
  const id = `bak_${new UlidFactory().next(createdUs / 1000)}`;
  const manifest: Manifest = {
    id,
    createdUs,
    kind: 'full',
    version: '0',
    format: 1,
    stream: 'w',
    incarnation: null,
    positions: { w: 0 },
    database: { sha256: '0'.repeat(64), bytes: 0 },
    files: [],
    missing: [],
    totals: { files: 0, bytes: 0, rows: 0 },
  };
  await objects.put(manifestKey(id), Buffer.from(encodeManifest(manifest)));
}

async function keysBelow(folder: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of objects.list(folder)) keys.push(key.slice(folder.length + 1));
  return keys;
}

test('every moment of the last hours stays restorable; what is older goes', async () => {
  for (const hoursAgo of [1, 30, 47, 50, 52, 80]) {
    await sent(`log/w/life/${hoursAgo}`, hoursAgo);
    await sent(`changes/life/${hoursAgo}`, hoursAgo);
  }
  for (const hoursAgo of [2, 49, 70]) await backup(hoursAgo);
  // From 48 hours ago on one needs the backup of 49 hours ago, and the log since.
  expect(await pruneShipped(objects, NOW - 48 * HOUR_US)).toBe(4);
  expect(await keysBelow('log')).toEqual(['w/life/1', 'w/life/30', 'w/life/47', 'w/life/50']);
  expect(await keysBelow('changes')).toEqual(['life/1', 'life/30', 'life/47', 'life/50']);
});

test('without a backup that is old enough nothing goes', async () => {
  await sent('log/w/life/1', 500);
  await backup(3);
  expect(await pruneShipped(objects, NOW - 48 * HOUR_US)).toBe(0);
});

test('the ledger is kept until every backup surely has it in its database', async () => {
  await backup(100);
  await backup(1);
  const erasure = (id: string, hoursAgo: number) => {
    const requestedUs = NOW - hoursAgo * HOUR_US;
    const open = { state: 'accepted', doneUs: null } as const;
    return { id, orgId: 'o', filter: {}, requestedUs, deadlineUs: requestedUs, ...open };
  };
  const revoked = (id: string, hoursAgo: number) =>
    ({ kind: 'key', id, atUs: NOW - hoursAgo * HOUR_US }) as const;
  const hours = [2, 99, 110, 130];
  await new Ledger(objects).add(
    hours.map((ago) => erasure(`era_${ago}`, ago)),
    hours.map((ago) => revoked(`key_${ago}`, ago)),
  );
  await pruneShipped(objects, NOW - 48 * HOUR_US);
  const { erasures, revocations } = await readLedger(objects);
  expect(erasures.map(({ id }) => id).sort()).toEqual(['era_110', 'era_2', 'era_99']);
  expect(revocations.map(({ id }) => id).sort()).toEqual(['key_110', 'key_2', 'key_99']);
});

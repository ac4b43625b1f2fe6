import { chmod, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { US_PER_DAY } from '../../base/clock.js';
import type { Event } from '../../event/event.js';
import type { Partition } from '../../metadata/metadata.js';
import { batchOf, DAY0, eventAt, queryOf } from '../model.suite.js';
import { TestStore } from './support.suite.js';

const day = (n: number, us = 0) => (DAY0 + n) * US_PER_DAY + us;

let under: TestStore;
let events: Event[];
let partitions: Partition[];

/** Four days with ten events each, the store just started. */
beforeEach(async () => {
  under = await TestStore.open();
  events = Array.from({ length: 40 }, (_, i) => eventAt(day(i % 4, i), { content: `text ${i}` }));
  await under.store.write(batchOf(0, 1, events));
  partitions = await under.catalog.partitions();
  await under.reopen();
});
afterEach(() => under.close());

const onDay = (n: number) => events.filter(({ timeUs }) => timeUs >= day(n) && timeUs < day(n + 1));

async function flipBit(path: string, at: number): Promise<void> {
  const bytes = await readFile(path);
  bytes[at % bytes.length] ^= 1 << (at % 8);
  await writeFile(path, bytes);
}

test('a flipped bit anywhere never changes an answer in silence', async () => {
  // Forgets what it puts into quarantine, so that the next flip meets the file again.
  const forgetful = await TestStore.open((c) => ({ ...c, quarantine: async () => undefined }));
  await forgetful.store.write(batchOf(0, 1, events));
  const [, { key }] = await forgetful.catalog.partitions();
  const whole = await readFile(forgetful.path(key));
  const FLIPS = 8;
  for (let i = 0; i < FLIPS; i++) {
    await writeFile(forgetful.path(key), whole);
    await flipBit(forgetful.path(key), Math.floor((i / FLIPS) * whole.length) + i);
    const store = await forgetful.reopen();
    const page = await store.read(queryOf({ limit: 1000 }));
    expect(page.events).toHaveLength(30);
    expect(page.incomplete).toMatchObject({ files: 1 });
    expect(forgetful.damages).toHaveLength(i + 1);
  }
  await forgetful.close();
}, 30_000);

test('a damaged file is reported once, and every answer over it says so', async () => {
  await flipBit(under.path(partitions[1].key), 200);
  const incomplete = { files: 1, sinceUs: onDay(1)[0].timeUs, untilUs: day(1, 38) };
  const all = await under.store.read(queryOf({ limit: 1000 }));
  expect(all).toMatchObject({ incomplete });
  expect(under.damages).toHaveLength(1);
  expect(under.store.partitions).toEqual({ live: 3, quarantined: 1 });
  expect(under.store.health.state).toBe('degraded');
  const stats = await under.store.stats(queryOf());
  expect(stats).toMatchObject({ count: 30, incomplete });
  await under.reopen();
  expect(await under.store.read(queryOf({ limit: 1000 }))).toMatchObject({ incomplete });
  expect(under.damages).toHaveLength(1);
});

test('an answer that does not reach into the damaged file is complete', async () => {
  await flipBit(under.path(partitions[1].key), 200);
  await under.store.read(queryOf({ limit: 1000 }));
  const newest = await under.store.read(queryOf({ limit: 20 }));
  expect(newest.events).toHaveLength(20);
  expect(newest.incomplete).toBeUndefined();
  expect((await under.store.read(queryOf({ limit: 21 }))).incomplete).toBeDefined();
  const oldest = await under.store.read(queryOf({ limit: 10, order: 'asc' }));
  expect(oldest.incomplete).toBeUndefined();
  const window = { sinceUs: day(2), untilUs: day(4) };
  expect((await under.store.read(queryOf({ filter: window }))).incomplete).toBeUndefined();
  const other = await under.store.read(queryOf({ orgId: 'org_b' }));
  expect(other.incomplete).toBeUndefined();
});

test('files that vanish or are cut while the server runs are found by the read', async () => {
  await under.store.read(queryOf({ limit: 1000 }));
  await rm(under.path(partitions[0].key));
  const cut = under.path(partitions[2].key);
  // Longer than what may still be cached would be, as a footer no longer stands where it was.
  await writeFile(cut, (await readFile(cut)).subarray(0, 100));
  const page = await under.store.read(queryOf({ limit: 1000 }));
  expect(page.events).toHaveLength(20);
  expect(page.incomplete).toMatchObject({ files: 2 });
  expect(under.damages.map(({ key }) => key).sort()).toEqual([
    partitions[0].key,
    partitions[2].key,
  ]);
});

test('a store whose folder is away is unavailable, not damaged', async () => {
  await rename(under.path('events'), under.path('elsewhere'));
  await expect(under.store.read(queryOf())).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(under.damages).toEqual([]);
  await rename(under.path('elsewhere'), under.path('events'));
  expect((await under.store.read(queryOf())).events).toHaveLength(40);
});

test.skipIf(process.getuid?.() === 0)('a lack of permission is no damage', async () => {
  await chmod(under.path(partitions[0].key), 0);
  await expect(under.store.read(queryOf())).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(under.damages).toEqual([]);
});

test('a snapshot that names a replaced file is taken anew', async () => {
  const [first] = partitions;
  const key = first.key.replace('.parquet', '_.parquet');
  const locate = under.catalog.locate;
  under.catalog.locate = async (scope) => {
    const located = await locate(scope);
    under.catalog.locate = locate;
    // Compaction swaps the file between the snapshot and the read.
    const copy = { ...first, id: 'par_new', key };
    await rename(under.path(first.key), under.path(key));
    await under.catalog.replace([first.id], [copy]);
    return located;
  };
  const page = await under.store.read(queryOf({ limit: 1000 }));
  // The copy came without spans: only the other days are left, and nothing is said to be damaged.
  expect(page.events).toHaveLength(30);
  expect(page.incomplete).toBeUndefined();
  expect(under.damages).toEqual([]);
});

test('verify finds what is damaged, missing, or too much, and changes nothing', async () => {
  expect((await under.store.verify({ deep: true })).findings).toEqual([]);
  await flipBit(under.path(partitions[0].key), 300);
  await rm(under.path(partitions[1].key));
  const orphan = partitions[2].key.replace('.parquet', '_.parquet');
  await writeFile(under.path(orphan), 'whatever');
  const seen: number[] = [];
  const report = await under.store.verify({ onProgress: ({ files }) => seen.push(files) });
  expect(report).toMatchObject({ files: 4, rows: 40 });
  expect(seen).toEqual([1, 2, 3, 4]);
  const found = report.findings.map(({ severity, key }) => ({ severity, key }));
  expect(found).toContainEqual({ severity: 'damage', key: partitions[0].key });
  expect(found).toContainEqual({ severity: 'damage', key: partitions[1].key });
  expect(found).toContainEqual({ severity: 'warning', key: orphan });
  expect(new Set(found.map(({ key }) => key)).size).toBe(3);
  expect((await under.catalog.partitions()).every(({ state }) => state === 'live')).toBe(true);
  await expect(under.store.verify({ signal: AbortSignal.abort(new Error('no')) })).rejects.toThrow(
    'no',
  );
});

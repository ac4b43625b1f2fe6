import { readFile, utimes, writeFile } from 'node:fs/promises';
import { afterEach, expect, test } from 'vitest';
import { US_PER_DAY } from '../../base/clock.js';
import { Fault } from '../../fault/fault.js';
import type { Catalog } from '../../metadata/metadata.js';
import { batchOf, DAY0, eventAt, NOW_US, queryOf } from '../model.suite.js';
import { TestStore } from './support.suite.js';

const day = (n: number, us = 0) => (DAY0 + n) * US_PER_DAY + us;
const events = Array.from({ length: 30 }, (_, i) => eventAt(day(i % 3, i), { sessionId: `s${i}` }));
const batch = batchOf(0, 30, events);

let under: TestStore;
afterEach(() => under.close());

/** What goes wrong: the n-th call of a method fails, before or after it did its work. */
interface Trouble {
  method: 'position' | 'stage' | 'commitFlush';
  call: number;
  when: 'before' | 'after';
}

function troubled(catalog: Catalog, trouble: Trouble): Catalog {
  let calls = 0;
  const { method, call, when } = trouble;
  const fails = async (...args: never[]) => {
    calls += 1;
    if (calls === call && when === 'before') throw new Fault('store_unavailable', 'trouble');
    const result = await (catalog[method] as (...args: never[]) => Promise<unknown>)(...args);
    if (calls === call) throw new Fault('store_unavailable', 'trouble');
    return result;
  };
  return { ...catalog, [method]: fails };
}

const troubles: Trouble[] = [
  { method: 'position', call: 1, when: 'before' },
  { method: 'stage', call: 1, when: 'before' },
  { method: 'stage', call: 2, when: 'after' },
  { method: 'stage', call: 3, when: 'after' },
  { method: 'commitFlush', call: 1, when: 'before' },
];

async function expectExactlyOnce(): Promise<void> {
  const page = await under.store.read(queryOf({ order: 'asc' }));
  expect(page.events.map(({ id }) => id).sort()).toEqual(events.map(({ id }) => id).sort());
  expect((await under.store.stats(queryOf())).count).toBe(30);
  expect(await under.store.position(batch.stream)).toBe(30);
  expect(await under.files('events')).toHaveLength(3);
  expect(await under.files('tmp')).toEqual([]);
}

test.each(troubles)('a failure $when call $call of $method leaves nothing', async (trouble) => {
  let clean: Catalog | undefined;
  under = await TestStore.open((catalog) => {
    if (clean !== undefined) return catalog;
    clean = catalog;
    return troubled(catalog, trouble);
  });
  await expect(under.store.write(batch)).rejects.toMatchObject({ code: 'store_unavailable' });
  expect(under.store.health.state).toBe('degraded');
  expect((await clean?.partitions())?.length).toBe(0);
  expect(await under.files('events')).toEqual([]);
  expect(await under.files('tmp')).toEqual([]);
  await under.store.write(batch);
  expect(under.store.health.state).toBe('ok');
  await expectExactlyOnce();
  await under.reopen();
  await under.store.write(batch);
  await expectExactlyOnce();
});

test('a commit whose answer was lost is a commit', async () => {
  const lost: Trouble = { method: 'commitFlush', call: 1, when: 'after' };
  under = await TestStore.open((catalog) => troubled(catalog, lost));
  await under.store.write(batch);
  await expectExactlyOnce();
});

test('while nobody knows whether the commit came, the files stay', async () => {
  let down = false;
  under = await TestStore.open((catalog) => ({
    ...catalog,
    commitFlush: async (flush) => {
      await catalog.commitFlush(flush);
      down = true;
      throw new Fault('store_unavailable', 'trouble');
    },
    position: async (stream) => {
      if (down) throw new Fault('store_unavailable', 'trouble');
      return catalog.position(stream);
    },
  }));
  await expect(under.store.write(batch)).rejects.toMatchObject({ code: 'store_unavailable' });
  down = false;
  await under.store.write(batch);
  await expectExactlyOnce();
});

test('a file that the second reader disagrees with never becomes visible', async () => {
  under = await TestStore.open();
  let looks = 0;
  const changing = eventAt(day(1));
  const { timeUs } = changing;
  Object.defineProperty(changing, 'timeUs', { get: () => timeUs + looks++ });
  const write = under.store.write(batchOf(0, 1, [changing, eventAt(day(1))]));
  await expect(write).rejects.toMatchObject({
    code: 'store_unavailable',
    cause: { message: expect.stringContaining('was to hold') },
  });
  expect(await under.files('events')).toEqual([]);
});

test('the sweep takes what crashes left, and no file that is or may be wanted', async () => {
  under = await TestStore.open();
  await under.store.write(batch);
  const [named] = await under.catalog.partitions();
  const bytes = await readFile(under.path(named.key));
  const old = new Date(NOW_US / 1000 - 7_200_000);
  const put = async (path: string, content: Uint8Array | string, time: Date) => {
    await writeFile(under.path(path), content);
    await utimes(under.path(path), time, time);
  };
  const beside = (name: string) => named.key.replace(/[^/]*$/, name);
  const young = new Date(NOW_US / 1000 - 60_000);
  // The same note as a file that the catalog covers: left by a try before the one that worked.
  await put(beside('01OLD.parquet'), bytes, old);
  await put(beside('01YOUNG.parquet'), bytes, young);
  await put(beside('01NONOTE.parquet'), 'no Parquet', old);
  const ulid = '01ARZ3NDEKTSV4RRFFQ69G5FAV';
  await put(`tmp/${ulid}.ndjson`, 'x', old);
  await put('tmp/others.txt', 'x', old);
  for (const { key } of await under.catalog.partitions()) {
    await utimes(under.path(key), old, old);
  }
  const report = await under.store.sweep();
  expect(report).toMatchObject({ temporaries: 1, orphans: 1 });
  expect(report.kept.map(({ key }) => key)).toEqual([beside('01NONOTE.parquet')]);
  expect(await under.files('events')).toHaveLength(5);
  expect(await under.files('tmp')).toEqual(['tmp/others.txt']);
  expect((await under.store.read(queryOf())).events).toHaveLength(30);
});

test('files beside a catalog that was lost are not swept', async () => {
  let lost = false;
  under = await TestStore.open((catalog) => ({
    ...catalog,
    partitions: async () => (lost ? [] : catalog.partitions()),
  }));
  const many = Array.from({ length: 20 }, (_, i) => eventAt(day(i)));
  await under.store.write(batchOf(0, 1, many));
  const old = new Date(NOW_US / 1000 - 7_200_000);
  for (const key of await under.files('events')) await utimes(under.path(key), old, old);
  lost = true;
  const report = await under.store.sweep();
  expect(report.orphans).toBe(0);
  expect(report.kept).toHaveLength(20);
  expect(await under.files('events')).toHaveLength(20);
});

import { readFile, utimes, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { US_PER_DAY } from '../../base/clock.js';
import type { Event } from '../../event/event.js';
import { compareEvents } from '../../event/filter.js';
import type { Deletion, Partition, RowsGone } from '../../metadata/metadata.js';
import { batchOf, DAY0, deletionOf, eventAt, NOW_US, queryOf, STREAM } from '../model.suite.js';
import type { Leaving } from './leaving.js';
import type { RewriteOrder, Rewritten } from './rewrite.js';
import { TestStore } from './support.suite.js';

const day = (n: number, us = 0) => (DAY0 + n) * US_PER_DAY + us;

let under: TestStore;
beforeEach(async () => {
  under = await TestStore.open();
});
afterEach(() => under.close());

const EPOCHS = [{ stream: STREAM, after: 0 }];

function leaving(through: number, with_: Partial<Leaving> = {}): Leaving {
  const none = { deletions: new Map(), expiredUs: null, floors: new Map(), epochs: EPOCHS };
  return { stream: STREAM, through, ...none, ...with_ };
}

function ofOrg(deletions: Deletion[]): Leaving['deletions'] {
  return new Map([['org_a', deletions]]);
}

async function rewrite(order: Partial<RewriteOrder> & { leaving: Leaving }): Promise<Rewritten> {
  const inputs = await under.catalog.partitions();
  return under.store.rewrite({ inputs, merge: true, onGone: () => undefined, ...order });
}

async function all(deletions: Deletion[] = [], orgId = 'org_a'): Promise<Event[]> {
  const visibility = { nowUs: NOW_US, floorUs: null, deletions };
  return (await under.store.read(queryOf({ orgId, visibility, limit: 100_000 }))).events;
}

test('files of one day become one, and nothing changes for a reader', async () => {
  const made: Event[] = [];
  for (let batch = 0; batch < 5; batch++) {
    const events = Array.from({ length: 40 }, (_, i) =>
      eventAt(day(1, ((i * 7919 + batch * 13) % 1000) * 1_000_003), {
        sessionId: `s${i % 7}`,
        agentId: `a${i % 3}`,
        orgId: i % 5 === 0 ? 'org_b' : 'org_a',
        eventType: i % 4 === 0 ? 'error' : 'general',
        content: `\uFEFFİ"\\ ${'漢'.repeat(i * 10)}`,
        expiresUs: i % 9 === 0 ? NOW_US + 5 : null,
      }),
    );
    made.push(...events);
    await under.store.write(batchOf(batch * 10, batch * 10 + 10, events));
  }
  const stats = await under.store.stats(queryOf());
  const done = await rewrite({ leaving: leaving(50) });
  expect(done).toMatchObject({ outcome: 'replaced', rowsGone: 0 });
  const [only, ...others] = await under.catalog.partitions();
  expect(others).toEqual([]);
  expect(only).toMatchObject({
    fromPosition: 1,
    toPosition: 50,
    level: 1,
    rows: 200,
    day: DAY0 + 1,
  });
  expect(only.minExpiresUs).toBe(NOW_US + 5);
  expect(under.store.partitions).toEqual({ live: 1, quarantined: 0 });
  const mine = made.filter(({ orgId }) => orgId === 'org_a').sort(compareEvents('desc'));
  expect(await all()).toEqual(mine);
  expect(await under.store.stats(queryOf())).toEqual(stats);
  const filter = { sessionId: 's3' };
  const session = mine.filter(({ sessionId }) => sessionId === 's3');
  expect((await under.store.read(queryOf({ filter, limit: 1000 }))).events).toEqual(session);
  expect((await under.store.verify({ deep: true })).findings).toEqual([]);
  await under.reopen();
  expect(await all()).toEqual(mine);
});

test('a deletion between two inputs takes the rows of the first alone, and is needed no more', async () => {
  const early = eventAt(day(1), { sessionId: 's1' });
  const late = eventAt(day(1, 1), { sessionId: 's1' });
  await under.store.write(batchOf(0, 10, [early]));
  await under.store.write(batchOf(10, 20, [late]));
  const deletion = deletionOf(15, { sessionId: 's1' });
  const gone: RowsGone[] = [];
  const done = await rewrite({
    leaving: leaving(20, { deletions: ofOrg([deletion]) }),
    onGone: (rows) => gone.push(...rows),
  });
  expect(done.rowsGone).toBe(1);
  expect(gone).toEqual([{ orgId: 'org_a', newestUs: early.ingestedUs }]);
  expect(await under.catalog.rowsGone()).toEqual(gone);
  expect(await all([deletion])).toEqual([late]);
  expect(await all([])).toEqual([late]);
});

test('a deletion past the order is left to the reads, before and after', async () => {
  const [a, b, c] = [0, 1, 2].map((us) => eventAt(day(1, us), { sessionId: 's1' }));
  await under.store.write(batchOf(0, 10, [a]));
  await under.store.write(batchOf(10, 20, [b]));
  const running = deletionOf(20, { sessionId: 's1' });
  const files = await under.catalog.partitions();
  await under.store.write(batchOf(20, 30, [c]));
  const order = { inputs: files, leaving: leaving(19, { deletions: ofOrg([running]) }) };
  await expect(rewrite(order)).rejects.toThrow('reaches past 19');
  const counted = deletionOf(25, { sessionId: 's1' });
  const through = leaving(20, { deletions: ofOrg([counted]) });
  expect((await rewrite({ inputs: files, leaving: through })).rowsGone).toBe(0);
  expect(await all([])).toEqual([c, b, a]);
  expect(await all([counted])).toEqual([c]);
  expect((await under.store.stats(queryOf({ upTo: { stream: STREAM, position: 20 } }))).count).toBe(
    2,
  );
});

test('expired rows and rows below a floor leave, and only those of their organization', async () => {
  const rows = [
    eventAt(day(1, 1), { expiresUs: NOW_US }),
    eventAt(day(1, 2), { expiresUs: NOW_US + 1 }),
    eventAt(day(1, 3)),
    eventAt(day(1, 3), { orgId: 'org_b' }),
  ];
  await under.store.write(batchOf(0, 10, rows));
  const untrusted = leaving(10);
  expect(await rewrite({ leaving: untrusted, merge: false })).toMatchObject({
    outcome: 'unchanged',
  });
  const floors = new Map([['org_a', day(1, 3)]]);
  const done = await rewrite({ leaving: leaving(10, { expiredUs: NOW_US, floors }), merge: false });
  expect(done).toMatchObject({ outcome: 'replaced', rowsGone: 2 });
  expect(await all()).toEqual([rows[2]]);
  expect(await all([], 'org_b')).toEqual([rows[3]]);
  expect(await under.catalog.partitions()).toMatchObject([{ minExpiresUs: null, rows: 2 }]);
});

test('a file without a row left is gone, and so is its folder entry', async () => {
  await under.store.write(batchOf(0, 10, [eventAt(day(1)), eventAt(day(1))]));
  const everything = deletionOf(10, {});
  const done = await rewrite({
    leaving: leaving(10, { deletions: ofOrg([everything]) }),
    merge: false,
  });
  expect(done).toMatchObject({ outcome: 'replaced', rowsGone: 2, output: null, bytesOut: 0 });
  expect(await under.catalog.partitions()).toEqual([]);
  expect(await under.catalog.garbage()).toHaveLength(1);
  // Two backups copy what the catalog named.
  const releases = [under.store.hold(), under.store.hold()];
  expect(await under.store.collectGarbage()).toBe(1);
  releases[0]();
  releases[0]();
  expect(await under.store.collectGarbage()).toBe(1);
  expect(await under.files('events')).toHaveLength(1);
  releases[1]();
  expect(await under.store.collectGarbage()).toBe(0);
  expect(await under.files('events')).toEqual([]);
  expect(await under.catalog.garbage()).toEqual([]);
});

test('replaced files stay while a read that began before is under way, and are no orphans', async () => {
  const events = Array.from({ length: 20 }, (_, i) => eventAt(day(1, i)));
  await under.store.write(batchOf(0, 10, events.slice(0, 10)));
  await under.store.write(batchOf(10, 20, events.slice(10)));
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  await under.reopenWith((catalog) => ({
    ...catalog,
    locate: async (scope) => {
      const located = await catalog.locate(scope);
      await held;
      return located;
    },
  }));
  const read = under.store.read(queryOf());
  await rewrite({ leaving: leaving(20) });
  expect(await under.store.collectGarbage()).toBe(2);
  expect(await under.files('events')).toHaveLength(3);
  const old = new Date(NOW_US / 1000 - 7_200_000);
  for (const key of await under.files('events')) await utimes(under.path(key), old, old);
  expect(await under.store.sweep()).toMatchObject({ orphans: 0, kept: [] });
  expect((await under.store.verify()).findings).toEqual([]);
  release();
  expect((await read).events).toHaveLength(20);
  expect(await under.store.collectGarbage()).toBe(0);
  expect(await under.files('events')).toHaveLength(1);
});

test('after a restart nothing needs the replaced files', async () => {
  for (const at of [0, 10, 20])
    await under.store.write(batchOf(at, at + 10, [eventAt(day(1, at))]));
  await rewrite({ leaving: leaving(30) });
  await under.reopen();
  expect(await under.files('events')).toHaveLength(4);
  expect(await under.store.collectGarbage()).toBe(0);
  expect(await under.files('events')).toHaveLength(1);
  expect(await all()).toHaveLength(3);
});

test('a damaged input is put into quarantine and never copied', async () => {
  await under.store.write(batchOf(0, 10, [eventAt(day(1))]));
  await under.store.write(batchOf(10, 20, [eventAt(day(1))]));
  const [first] = await under.catalog.partitions();
  await under.reopen();
  const bytes = await readFile(under.path(first.key));
  bytes[bytes.length >> 1] ^= 4;
  await writeFile(under.path(first.key), bytes);
  expect(await rewrite({ leaving: leaving(20) })).toMatchObject({ outcome: 'stale' });
  const states = (await under.catalog.partitions()).map(({ state }) => state);
  expect(states.sort()).toEqual(['live', 'quarantined']);
  expect(under.damages).toHaveLength(1);
});

const losses: ['before' | 'after', string][] = [
  ['before', 'store_unavailable'],
  ['after', 'done'],
];
test.each(losses)('a commit that fails %s it came leaves the catalog right', async (when, end) => {
  for (const at of [0, 10]) await under.store.write(batchOf(at, at + 10, [eventAt(day(1, at))]));
  let failing = true;
  await under.reopenWith((catalog) => ({
    ...catalog,
    replace: async (...args: [readonly string[], readonly Partition[]]) => {
      const answer = failing && when === 'before' ? false : await catalog.replace(...args);
      if (failing) throw new Error('store_unavailable');
      return answer;
    },
  }));
  const result = await rewrite({ leaving: leaving(20) }).then(
    () => 'done',
    (error: Error) => error.message,
  );
  expect(result).toBe(end);
  failing = false;
  expect(await all()).toHaveLength(2);
  expect(await under.files('tmp')).toEqual([]);
  if (when === 'before') await rewrite({ leaving: leaving(20) });
  await under.store.collectGarbage();
  expect(await under.files('events')).toHaveLength(1);
  expect(await all()).toHaveLength(2);
});

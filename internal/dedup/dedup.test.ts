import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SLOT_BYTES } from './arena.js';
import { Harness, HOUR, hexKeys, WINDOW } from './harness.suite.js';

let harness: Harness;
beforeEach(async () => {
  harness = new Harness();
  await harness.open();
});
afterEach(() => harness.end());

const [K1, K2, K3] = hexKeys(3);

test('of two equal reservations the second waits, and may try if the first gives up', async () => {
  const [a, b, c] = [K1, K1, K1].map((key) => harness.entry(key));
  const { index, nowUs } = harness;
  const [first, second] = await Promise.all([index.reserve([a], nowUs), index.reserve([b], nowUs)]);
  expect(first).toEqual([null]);
  expect(second[0]?.id).toBe(a.id);
  let settled: boolean | undefined;
  const waiting = second[0]?.settled?.then((durable) => {
    settled = durable;
  });
  await Promise.resolve();
  expect(settled).toBeUndefined();
  index.abandon([a]);
  await waiting;
  expect(settled).toBe(false);

  expect(await index.reserve([b], nowUs)).toEqual([null]);
  const third = (await index.reserve([c], nowUs))[0];
  harness.settle([b]);
  expect(await third?.settled).toBe(true);
  expect(await index.reserve([c], nowUs)).toEqual([{ id: b.id, ingestedUs: nowUs }]);
});

test('equal keys in one call: the second meets the first; organizations do not meet', async () => {
  const { index, nowUs } = harness;
  const [a, b, other] = [harness.entry(K1), harness.entry(K1), harness.entry(K1, 'org_2')];
  const holders = await index.reserve([a, b, other], nowUs);
  expect(holders.map((holder) => holder?.id ?? null)).toEqual([null, a.id, null]);
});

test('two equal reservations that both must ask the disk: one wins', async () => {
  await harness.store([K1]);
  await harness.flush();
  harness.nowUs += WINDOW - 1;
  expect(await harness.holders([K1])).not.toEqual([null]);
  // The run is expired now, but a key in it makes both calls go the slow way.
  const { index, nowUs } = harness;
  await index.close();
  await harness.open();
  const entries = [K2, K2, K2].map((key) => harness.entry(key));
  const all = await Promise.all(entries.map((entry) => harness.index.reserve([entry], nowUs)));
  expect(all.filter(([holder]) => holder === null)).toHaveLength(1);
});

test('a client key is not the computed key that looks like it, whatever its case', async () => {
  await harness.store([K1, K1.toUpperCase(), `${K1} `, '']);
  expect(await harness.holders(['x', K1])).toEqual([null, expect.any(String)]);
});

test('after the window a key is free, in the memtable and in a run; the run goes', async () => {
  const [entry] = await harness.store([K1]);
  harness.nowUs += WINDOW - 1;
  expect(await harness.holders([K1])).toEqual([entry.id]);
  harness.nowUs += 1;
  expect(await harness.holders([K1])).toEqual([null]);

  harness.nowUs += HOUR;
  const [second] = await harness.store([K2]);
  await harness.flush();
  harness.nowUs += WINDOW - 1;
  expect(await harness.holders([K2])).toEqual([second.id]);
  harness.nowUs += 1;
  expect(await harness.holders([K2])).toEqual([null]);
  await harness.index.idle();
  expect(harness.catalog.rows).toEqual([]);
  expect(harness.files()).toEqual([]);
});

test('a clock that was ahead for a moment takes no later run with it', async () => {
  const { nowUs } = harness;
  await harness.index.reserve([], nowUs + 1000 * WINDOW);
  await harness.store([K1]);
  await harness.flush();
  await harness.index.idle();
  expect(await harness.holders([K1])).not.toEqual([null]);
});

test('sealed but not committed: after a crash the log brings the keys back', async () => {
  const [a] = await harness.store([K1]);
  const run = await harness.index.seal(1);
  expect(run).toMatchObject({ keys: 1, through: 1, newestUs: harness.nowUs });
  // The same flush tried again gets the same run.
  expect(await harness.index.seal(1)).toEqual(run);
  await harness.crash();
  expect(harness.files()).toEqual([]);
  expect(await harness.holders([K1])).toEqual([a.id]);
  await harness.flush();
  await harness.crash();
  expect(await harness.holders([K1])).toEqual([a.id]);
  expect(harness.index.stats()).toMatchObject({ runs: 1, pendingKeys: 0, diskHits: 1 });
});

test('a commit whose answer was lost is found out by the next seal', async () => {
  const [a] = await harness.store([K1]);
  const run = await harness.index.seal(1);
  if (run !== null) harness.catalog.rows.push(run);
  const [b] = await harness.store([K2]);
  await harness.flush();
  expect(harness.catalog.rows).toHaveLength(2);
  expect(await harness.holders([K1, K2])).toEqual([a.id, b.id]);
  expect(harness.files()).toHaveLength(2);
});

test('a run that the catalog never took is removed by the next seal', async () => {
  const [a] = await harness.store([K1]);
  await harness.index.seal(1);
  const [b] = await harness.store([K2]);
  await harness.flush();
  expect(harness.catalog.rows).toMatchObject([{ keys: 2 }]);
  expect(await harness.holders([K1, K2])).toEqual([a.id, b.id]);
  expect(harness.files()).toHaveLength(1);
});

test('nothing to seal is no run', async () => {
  expect(await harness.index.seal(5)).toBeNull();
  await harness.index.reserve([harness.entry(K1)], harness.nowUs);
  expect(await harness.index.seal(5)).toBeNull();
});

test('a freed key is free wherever it sits; a late free spares the next holder', async () => {
  const [a, c] = await harness.store([K1, K3]);
  const free = (id: string): boolean => harness.index.free({ orgId: 'org_1', key: K1 }, id);
  expect(free(c.id)).toBe(false);
  expect(free(a.id)).toBe(true);
  const [b] = await harness.store([K1]);
  expect(free(a.id)).toBe(false);
  await harness.flush();
  expect(await harness.holders([K1])).toEqual([b.id]);
  // In a run: two requests learn that a is gone, the slower one frees it after b came.
  expect(free(a.id)).toBe(true);
  expect(await harness.holders([K1])).toEqual([b.id]);
  expect(free(b.id)).toBe(true);
  // A claim on a freed key that was given up leaves it free.
  expect(await harness.holders([K1])).toEqual([null]);
  expect(await harness.holders([K1])).toEqual([null]);
  const [d] = await harness.store([K1]);
  await harness.flush();
  expect(await harness.holders([K1, K3])).toEqual([d.id, c.id]);
  expect(harness.index.free({ orgId: 'org_1', key: K2 }, a.id)).toBe(false);
});

test('freed in the memtable above a freed holder in a run: both stay freed', async () => {
  const [a, c] = await harness.store([K1, K2]);
  await harness.flush();
  const keys = [K1, K2].map((key) => ({ orgId: 'org_1', key }));
  harness.index.free(keys[0], a.id);
  harness.index.free(keys[1], c.id);
  const [b, d] = await harness.store([K1, K2]);
  expect(harness.index.free(keys[0], b.id)).toBe(true);
  expect(harness.index.free(keys[0], b.id)).toBe(false);
  expect(await harness.holders([K1, K2])).toEqual([null, d.id]);
  expect(harness.index.free(keys[1], d.id)).toBe(true);
  expect(await harness.holders([K1, K2])).toEqual([null, null]);
  await harness.flush();
  expect(await harness.holders([K1, K2])).toEqual([null, null]);
});

test('keys freed again and again never keep a batch from being stored', async () => {
  const gone = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const entries = [K1, K2, K3].map((key) => harness.entry(key));
    for (let round = 0; ; round++) {
      expect(round).toBeLessThan(4);
      const holders = await harness.index.reserve(entries, harness.nowUs);
      if (holders.every((holder) => holder === null)) break;
      // As the way in does it: give up what was claimed, free what is gone, try again.
      harness.index.abandon(entries.filter((_, at) => holders[at] === null));
      holders.forEach((holder, at) => {
        // Of the three only one is found out a round, so that the others' state must last.
        if (holder !== null && at === holders.findIndex((other) => other !== null)) {
          expect(gone.has(holder.id)).toBe(true);
          harness.index.free(entries[at], holder.id);
        }
      });
    }
    harness.settle(entries);
    for (const { id } of entries) gone.add(id);
    if (i === 0) await harness.flush();
  }
});

test('replayed: of two events with one key the later took it over', async () => {
  const [a] = await harness.store([K1]);
  harness.index.free(a, a.id);
  const [b] = await harness.store([K1]);
  await harness.crash();
  expect(await harness.holders([K1])).toEqual([b.id]);
});

test('merging keeps every key, the newest claim of each, and nothing expired', async () => {
  const keys = hexKeys(2000, 11);
  const [old] = await harness.store([K1]);
  await harness.flush();
  harness.nowUs += 23 * HOUR;
  const expected = new Map<string, string>();
  for (let i = 0; i < 8; i++) {
    if (i > 0) harness.index.free({ orgId: 'org_1', key: K2 }, expected.get(K2) ?? '');
    const part = [...keys.slice(i * 250, (i + 1) * 250), K2];
    for (const entry of await harness.store(part)) expected.set(entry.key, entry.id);
    await harness.flush();
  }
  await harness.index.idle();
  expect(await harness.holders([K1])).toEqual([old.id]);
  expect(harness.index.stats().merges).toBeGreaterThan(0);
  expect(harness.index.stats().runs).toBeLessThan(6);
  harness.nowUs += HOUR;
  await harness.crash();
  await harness.index.idle();
  expect(await harness.holders([K1, K2])).toEqual([null, expected.get(K2)]);
  expect(await harness.holders(keys)).toEqual(keys.map((key) => expected.get(key)));
});

for (const fail of ['before', 'after'] as const) {
  test(`a merge whose transaction fails ${fail} its work is set right`, async () => {
    const keys = hexKeys(400, 5);
    const stored: string[] = [];
    harness.catalog.fail = fail;
    for (let i = 0; i < 4; i++) {
      const entries = await harness.store(keys.slice(i * 100, i * 100 + 100));
      stored.push(...entries.map(({ id }) => id));
      await harness.flush();
    }
    await harness.index.idle();
    await harness.index.idle();
    expect(harness.errors).toHaveLength(1);
    expect(harness.catalog.rows).toMatchObject([{ keys: 400, through: 4 }]);
    expect(harness.files()).toHaveLength(1);
    expect(await harness.holders(keys)).toEqual(stored);
  });
}

test('while they are held, runs that were merged keep their files', async () => {
  const keys = hexKeys(400, 5);
  const release = harness.index.hold();
  for (let i = 0; i < 4; i++) {
    await harness.store(keys.slice(i * 100, i * 100 + 100));
    await harness.flush();
  }
  const flushed = harness.catalog.rows.length;
  await harness.index.idle();
  expect(harness.catalog.rows).toMatchObject([{ keys: 400 }]);
  expect(harness.files().length).toBeGreaterThan(flushed);
  release();
  release();
  await vi.waitFor(() => expect(harness.files()).toHaveLength(1));
  expect(harness.errors).toEqual([]);
});

test('orphans go at the start, quarantined files stay', async () => {
  await harness.index.close();
  for (const name of ['01A.run', '01B.run.tmp', '01C.run.bad']) {
    writeFileSync(join(harness.dir, name), 'x');
  }
  await harness.open();
  expect(harness.files()).toEqual(['01C.run.bad']);
});

test('memory: the memtable lets go of what runs hold', async () => {
  const keys = hexKeys(200_000, 9);
  for (let i = 0; i < keys.length; i += 10_000) await harness.store(keys.slice(i, i + 10_000));
  const before = harness.index.stats();
  expect(before.pendingKeys).toBe(200_000);
  await harness.flush();
  await harness.index.idle();
  const { memoryBytes, pendingKeys, runKeys } = harness.index.stats();
  expect({ pendingKeys, runKeys }).toEqual({ pendingKeys: 0, runKeys: 200_000 });
  // The memtable keeps its room for the next batch, and gives it back if that was smaller.
  expect(memoryBytes).toBeGreaterThan(10_000_000);
  await harness.store([K1]);
  await harness.flush();
  await harness.index.idle();
  // Two runs, and 200 KB of empty shards.
  expect(harness.index.stats().memoryBytes).toBeLessThan(3 * SLOT_BYTES + 210_000);
  expect(await harness.holders(keys.slice(-5))).not.toContain(null);
});

test('closed: what waits for a claim is told, what needs the disk is refused', async () => {
  const [a, b] = [harness.entry(K1), harness.entry(K1)];
  await harness.index.reserve([a], harness.nowUs);
  const [holder] = await harness.index.reserve([b], harness.nowUs);
  await harness.index.close();
  expect(await holder?.settled).toBe(false);
  await expect(harness.index.seal(1)).resolves.toBeNull();
  harness.index.settle([a], 1);
  await expect(harness.index.seal(1)).rejects.toMatchObject({ code: 'store_unavailable' });
});

import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { US_PER_DAY } from '../base/clock.js';
import {
  type Event,
  type EventFilter,
  MEMORY_TYPES,
  type Order,
  type Place,
} from '../event/event.js';
import { compareEvents } from '../event/filter.js';
import { fold } from '../event/fold.js';
import type { Deletion } from '../metadata/metadata.js';
import {
  batchOf,
  DAY0,
  deletionOf,
  eventAt,
  NaiveStore,
  NOW_US,
  queryOf,
  STREAM,
} from './model.suite.js';
import type { Store, StoreQuery } from './store.js';

/** What every implementation of Store must do. */
export interface StoreUnderTest {
  store: Store;
  /** Closes the store and opens it again on what it left, as after a restart. */
  reopen(): Promise<Store>;
  close(): Promise<void>;
}

const NASTY = [
  '\uFEFFbom',
  'İstanbul',
  'ΣΊΣΥΦΟΣ',
  'ς',
  'σ',
  '100%_a',
  "'; --",
  '漢字',
  '\u2028',
  'ÄÖ',
  '\\',
];

const aText = fc.oneof(
  fc.constantFrom(...NASTY),
  fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replaceAll('\0', '')),
);

const anEvent: fc.Arbitrary<Partial<Event> & { timeUs: number }> = fc.record({
  // Few different times, so that ids decide; some days far away.
  timeUs: fc
    .record({ day: fc.constantFrom(0, 1, 1, 2, 2, 2, 40, 300), at: fc.nat(20) })
    .map(({ day, at }) => (DAY0 + day) * US_PER_DAY + at * 4_000_000_001),
  orgId: fc.constantFrom('org_a', 'org_a', 'org_b'),
  agentId: fc.constantFrom('bot', 'bee', 'ant'),
  sessionId: fc.constantFrom('', 's1', 's2'),
  memoryType: fc.constantFrom(...MEMORY_TYPES),
  eventType: fc.constantFrom('general', 'error', 'crawl'),
  content: aText.map((text) => text || 'x'),
  metadataJson: fc.oneof(
    fc.constant(''),
    aText.map((text) => JSON.stringify({ key: text })),
  ),
  tagsCsv: fc.uniqueArray(fc.constantFrom('a', 'b', 'ab', 'a.b')).map((tags) => tags.join()),
  dedupKey: aText,
  importance: fc.constantFrom(0, 0.1, 0.25, 1),
  parentId: fc.oneof(fc.constant(''), aText),
  expiresUs: fc.constantFrom(null, null, null, NOW_US, NOW_US + 1, NOW_US - US_PER_DAY),
});

const aTime = fc
  .record({
    day: fc.constantFrom(0, 1, 2, 3, 40, 301),
    at: fc.constantFrom(0, 4_000_000_001, 40_000_000_010),
  })
  .map(({ day, at }) => (DAY0 + day) * US_PER_DAY + at);

function optional<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(value, { nil: undefined, freq: 2 });
}

const aFilter: fc.Arbitrary<EventFilter> = fc.record({
  agentIds: optional(fc.subarray(['bot', 'bee', 'cat'])),
  sessionId: optional(fc.constantFrom('', 's1')),
  memoryTypes: fc.option(fc.subarray([...MEMORY_TYPES]), { nil: undefined, freq: 1 }),
  eventTypes: fc.option(fc.subarray(['general', 'error']), { nil: undefined, freq: 1 }),
  tags: fc.option(fc.subarray(['a', 'b']), { nil: undefined, freq: 1 }),
  parentId: fc.option(aText, { nil: undefined, freq: 1 }),
  minImportance: fc.option(fc.constantFrom(0, 0.1, 0.2), { nil: undefined, freq: 1 }),
  contentContains: fc.option(aText.map(fold), { nil: undefined, freq: 1 }),
  sinceUs: optional(aTime),
  untilUs: optional(aTime),
});

const aQuery = fc.record({
  filter: aFilter,
  order: fc.constantFrom<Order>('desc', 'asc'),
  limit: fc.constantFrom(1, 2, 5, 1000),
  orgId: fc.constantFrom('org_a', 'org_b', 'org_none'),
  floorUs: fc.constantFrom(null, null, (DAY0 + 2) * US_PER_DAY),
});

/** Deletions at every place between the batches, of ids that are there and of filters. */
const aDeletion = fc.record({
  position: fc.constantFrom(5, 10, 15, 20, 25, 30, 35),
  filter: fc.oneof(
    fc.record({ pick: fc.nat(200) }),
    fc.record({ sessionId: fc.constantFrom('s1', 's2') }),
    aFilter,
  ),
});

export function storeSuite(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(name, () => {
    let under: StoreUnderTest;
    beforeEach(async () => {
      under = await make();
    });
    afterEach(() => under.close());

    const day = (n: number, us = 0) => (DAY0 + n) * US_PER_DAY + us;

    test('an empty store answers with nothing', async () => {
      const page = await under.store.read(queryOf());
      expect(page).toEqual({ events: [], through: {}, incomplete: undefined });
      const stats = await under.store.stats(queryOf());
      expect(stats).toMatchObject({ count: 0, errors: 0, byType: {}, lastUs: null });
      expect(await under.store.position(STREAM)).toBe(0);
    });

    test('every member of an event comes back as it was', async () => {
      const event = eventAt(day(1, 123_456_789_001), {
        sessionId: 's-1',
        memoryType: 'decision',
        eventType: 'error',
        content: '\uFEFF\uFEFFİ\r\n"\\\u2028\u{1F600}\u0001 漢字 %_',
        metadataJson: '{"a":"\\u0000ß","n":1.5}',
        tagsCsv: 'b,a',
        dedupKey: '\uFEFFkey',
        importance: 0.1 + 0.2,
        parentId: '\uFEFF parent',
        ingestedUs: 2 ** 51 + 1,
        expiresUs: 2 ** 51 + 3,
      });
      const plain = eventAt(day(1, 1));
      await under.store.write(batchOf(0, 1, [event, plain]));
      const page = await under.store.read(queryOf());
      expect(page.events).toEqual([event, plain]);
      expect(page.through).toEqual({ [STREAM]: 1 });
    });

    test('a batch is there at once, whole, and again after a restart', async () => {
      const events = Array.from({ length: 50 }, (_, i) => eventAt(day(i % 3, i * 1_000)));
      await under.store.write(batchOf(0, 50, events));
      const expected = [...events].sort(compareEvents('desc'));
      expect((await under.store.read(queryOf())).events).toEqual(expected);
      const store = await under.reopen();
      expect((await store.read(queryOf())).events).toEqual(expected);
      expect(await store.position(STREAM)).toBe(50);
    });

    test('the same batch again changes nothing, also after a restart', async () => {
      const batch = batchOf(0, 2, [eventAt(day(1)), eventAt(day(2))]);
      await under.store.write(batch);
      await under.store.write(batch);
      const store = await under.reopen();
      await store.write(batch);
      expect((await store.read(queryOf())).events).toHaveLength(2);
      await expect(store.write(batchOf(1, 3, [eventAt(day(3))]))).rejects.toMatchObject({
        code: 'internal',
      });
      await expect(store.write(batchOf(4, 5, [eventAt(day(3))]))).rejects.toMatchObject({
        code: 'internal',
      });
      expect((await store.read(queryOf())).events).toHaveLength(2);
    });

    test('a batch without events moves the position', async () => {
      await under.store.write(batchOf(0, 7, []));
      expect(await under.store.position(STREAM)).toBe(7);
      await under.store.write(batchOf(7, 8, [eventAt(day(1))]));
      const page = await under.store.read(queryOf());
      expect(page.events).toHaveLength(1);
      expect(page.through).toEqual({ [STREAM]: 8 });
    });

    test('a deletion takes what was stored up to its position, and nothing later', async () => {
      const early = eventAt(day(1), { sessionId: 's1' });
      const late = eventAt(day(1, 1), { sessionId: 's1' });
      await under.store.write(batchOf(0, 10, [early]));
      await under.store.write(batchOf(10, 20, [late]));
      const read = async (deletion: Deletion) => {
        const visibility = { nowUs: NOW_US, floorUs: null, deletions: [deletion] };
        return (await under.store.read(queryOf({ visibility }))).events;
      };
      expect(await read(deletionOf(15, { sessionId: 's1' }))).toEqual([late]);
      expect(await read(deletionOf(20, { sessionId: 's1' }))).toEqual([]);
      expect(await read(deletionOf(5, { sessionId: 's1' }))).toEqual([late, early]);
      expect(await read(deletionOf(25, { ids: [late.id] }))).toEqual([early]);
      expect(await read(deletionOf(25, { ids: [] }))).toEqual([late, early]);
      expect(await read(deletionOf(25, { ids: ['no id'] }))).toEqual([late, early]);
      expect(await read(deletionOf(25, { untilUs: day(1, 1) }))).toEqual([late]);
      expect(await read(deletionOf(25, {}))).toEqual([]);
      const later = { ...deletionOf(1, { sessionId: 's1' }), stream: 'another' };
      expect(await read(later)).toEqual([]);
      const another = {
        ...batchOf(0, 1, [eventAt(day(1), { sessionId: 's1' })]),
        stream: 'another',
      };
      await under.store.write(another);
      expect(await read(deletionOf(9_999, { sessionId: 's1' }))).toEqual(another.events);
      expect(await read(later)).toEqual([]);
      expect(
        (await under.store.stats(queryOf({ upTo: { stream: 'another', position: 0 } }))).count,
      ).toBe(2);
    });

    test('thousands of deletions by id', async () => {
      const events = Array.from({ length: 3_000 }, (_, i) => eventAt(day(1, i * 1_000)));
      await under.store.write(batchOf(0, 10, events));
      const deletions = events.slice(0, 2_990).map(({ id }) => deletionOf(10, { ids: [id] }));
      const visibility = { nowUs: NOW_US, floorUs: null, deletions };
      const page = await under.store.read(queryOf({ visibility, order: 'asc' }));
      expect(page.events).toEqual(events.slice(2_990));
      expect((await under.store.stats(queryOf({ visibility }))).count).toBe(10);
    });

    test('upTo leaves out younger batches', async () => {
      await under.store.write(batchOf(0, 10, [eventAt(day(1))]));
      await under.store.write(batchOf(10, 20, [eventAt(day(1)), eventAt(day(2))]));
      for (const [position, count] of [
        [0, 0],
        [10, 1],
        [20, 3],
        [99, 3],
      ]) {
        const upTo = { stream: STREAM, position };
        expect((await under.store.stats(queryOf({ upTo }))).count).toBe(count);
        expect((await under.store.read(queryOf({ upTo }))).events).toHaveLength(count);
      }
    });

    test('an id is found alone, an impossible one is not', async () => {
      const events = Array.from({ length: 20 }, (_, i) => eventAt(day(i, 999_999)));
      await under.store.write(batchOf(0, 20, events));
      for (const event of events) {
        const filter = { ids: [event.id] };
        expect((await under.store.read(queryOf({ filter }))).events).toEqual([event]);
      }
      for (const ids of [[], ['x'], [`mem_${'0'.repeat(26)}`]]) {
        const page = await under.store.read(queryOf({ filter: { ids } }));
        expect(page).toMatchObject({ events: [], through: { [STREAM]: 20 } });
      }
    });

    test('an aborted read rejects with the reason of its signal', async () => {
      await under.store.write(batchOf(0, 1, [eventAt(day(1))]));
      const reason = new Error('gone');
      const aborted = AbortSignal.abort(reason);
      await expect(under.store.read(queryOf({ signal: aborted }))).rejects.toBe(reason);
      const stop = new AbortController();
      const read = under.store.read(queryOf({ signal: stop.signal }));
      stop.abort(reason);
      await expect(read).rejects.toBe(reason);
      expect((await under.store.read(queryOf())).events).toHaveLength(1);
    });

    test('reads and statistics agree with a plain filter, page by page', async () => {
      const batches = fc.array(fc.array(anEvent, { maxLength: 25 }), {
        minLength: 1,
        maxLength: 3,
      });
      const questions = fc.array(aQuery, { minLength: 12, maxLength: 12 });
      const deletions = fc.array(aDeletion, { maxLength: 5 });
      await fc.assert(
        fc.asyncProperty(batches, questions, deletions, async (made, queries, erased) => {
          const fresh = await make();
          try {
            await compare(fresh.store, { made, queries, erased });
          } finally {
            await fresh.close();
          }
        }),
        { numRuns: 12, interruptAfterTimeLimit: 40_000, markInterruptAsFailure: false },
      );
    }, 60_000);
  });
}

interface Scenario {
  made: (Partial<Event> & { timeUs: number })[][];
  queries: {
    filter: EventFilter;
    order: Order;
    limit: number;
    orgId: string;
    floorUs: number | null;
  }[];
  erased: { position: number; filter: EventFilter | { pick: number } }[];
}

async function compare(store: Store, { made, queries, erased }: Scenario): Promise<void> {
  const naive = new NaiveStore();
  const all: Event[] = [];
  for (const [i, rows] of made.entries()) {
    const events = rows.map((row) => eventAt(row.timeUs, row));
    const batch = batchOf(i * 10, i * 10 + 10, events);
    await store.write(batch);
    naive.write(batch);
    all.push(...events);
  }
  const deletions = erased.flatMap(({ position, filter }) => {
    if (!('pick' in filter)) return [deletionOf(position, filter)];
    const event = all[filter.pick % Math.max(1, all.length)];
    return event === undefined ? [] : [deletionOf(position, { ids: [event.id] })];
  });
  for (const { floorUs, ...wanted } of queries) {
    const mine = wanted.orgId === 'org_a' ? deletions : [];
    const visibility = { nowUs: NOW_US, floorUs, deletions: mine };
    const query = queryOf({ ...wanted, visibility });
    const expected = naive.read({ ...query, limit: Number.MAX_SAFE_INTEGER });
    expect(await walk(store, query, expected.length)).toEqual(expected);
    const { filter, orgId } = query;
    expect(await store.stats({ filter, orgId, visibility })).toMatchObject(naive.stats(query));
  }
}

/** All pages of a query, each after the last row of the one before; a dozen at most. */
async function walk(store: Store, query: StoreQuery, rows: number): Promise<Event[]> {
  const limit = Math.max(query.limit, Math.ceil(rows / 12));
  const events: Event[] = [];
  let after: Place | undefined;
  for (;;) {
    const page = await store.read({ ...query, limit, after });
    events.push(...page.events);
    expect(page.incomplete).toBeUndefined();
    if (page.events.length < limit) return events;
    after = events.at(-1);
  }
}

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { systemClock } from '../base/clock.js';
import { FairPool } from '../base/fair-pool.js';
import type { Event, Order, Place } from '../event/event.js';
import { comesAfter, compareEvents, matches } from '../event/filter.js';
import { parseRowLine, rowLine } from '../event/json.js';
import { joinRowLines } from '../event/rowlines.js';
import { Deletions } from '../recent/deletions.js';
import { Recent } from '../recent/recent.js';
import type { Store, StorePage, StoreQuery, StoreStats } from '../store/store.js';
import { placeAfter, Recall } from './recall.js';

const STREAM = 'w_1';

function event(i: number, more: Partial<Event> = {}): Event {
  return {
    timeUs: i * 1000,
    id: `mem_${String(i).padStart(26, '0')}`,
    orgId: 'org_a',
    agentId: 'a',
    sessionId: '',
    memoryType: 'episodic',
    eventType: 'general',
    content: `event ${i}`,
    metadataJson: '',
    tagsCsv: '',
    dedupKey: '',
    importance: 0,
    parentId: '',
    ingestedUs: 0,
    expiresUs: null,
    ...more,
  };
}

/** A store whose flush can be forced between the two halves of a read. */
class FlushingStore implements Store {
  readonly rows: { event: Event; position: number }[] = [];
  through = 0;
  readonly health = { state: 'ok' as const };
  /** Runs when a read has taken its recent rows and asks the store. */
  beforeRead: () => void = () => undefined;

  flush(recent: Recent): void {
    recent.seal();
    for (const generation of recent.waiting) {
      const text = Buffer.concat([...generation.live().lines]).toString('utf8');
      for (const line of text.split('\n').slice(0, -1)) {
        this.rows.push({ event: parseRowLine(line), position: 0 });
      }
      this.through = generation.to;
    }
    recent.drop(this.through);
  }

  async write(): Promise<void> {}

  async read({ orgId, filter, order, after, limit }: StoreQuery): Promise<StorePage> {
    this.beforeRead();
    const events = this.rows
      .map((row) => row.event)
      .filter((one) => one.orgId === orgId && matches(one, filter))
      .filter((one) => after === undefined || comesAfter(one, after, order))
      .sort(compareEvents(order))
      .slice(0, limit);
    return { events, through: { [STREAM]: this.through } };
  }

  async stats(query: Pick<StoreQuery, 'orgId' | 'filter'>): Promise<StoreStats> {
    this.beforeRead();
    const found = this.rows.filter(
      ({ event: one }) => one.orgId === query.orgId && matches(one, query.filter),
    );
    const through = { [STREAM]: this.through };
    return { count: found.length, errors: 0, byType: {}, lastUs: null, through };
  }

  async position(): Promise<number> {
    return this.through;
  }

  async close(): Promise<void> {}
}

function makeRecall() {
  const store = new FlushingStore();
  const recent = new Recent(systemClock, 0);
  const slots = new FairPool({ capacity: 2, maxWaiting: 1, maxWaitMs: 50 });
  const recall = new Recall({
    clock: systemClock,
    recent,
    deletions: new Deletions([]),
    store,
    stream: STREAM,
    slots,
    timeoutMs: 200,
    onQuery: () => undefined,
  });
  return { store, recent, recall };
}

const reader = { orgId: 'org_a', floorUs: null, kind: 'list' } as const;
const record = (...events: Event[]) => ({ events, lines: joinRowLines(events.map(rowLine)) });

test('a flush between the two halves of a read loses and doubles nothing', async () => {
  const { store, recent, recall } = makeRecall();
  for (let i = 1; i <= 10; i++) recent.add(i, record(event(i)));
  store.flush(recent);
  for (let i = 11; i <= 20; i++) recent.add(i, record(event(i)));
  store.beforeRead = () => store.flush(recent);
  const page = await recall.page(reader, { filter: {}, order: 'desc', limit: 100 });
  expect(page.events.map(({ timeUs }) => timeUs / 1000)).toEqual(
    Array.from({ length: 20 }, (_, i) => 20 - i),
  );
  for (let i = 21; i <= 25; i++) recent.add(i, record(event(i)));
  expect((await recall.stats(reader, {})).count).toBe(25);
});

test('walking with cursors visits each row once, whatever is written and flushed meanwhile', async () => {
  const step = fc.record({
    write: fc.integer({ min: 0, max: 3 }),
    time: fc.integer({ min: 0, max: 30 }),
    flush: fc.boolean(),
    flushInside: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 40 }),
      fc.array(step, { maxLength: 12 }),
      fc.constantFrom<Order>('asc', 'desc'),
      fc.integer({ min: 1, max: 7 }),
      async (times, steps, order, limit) => {
        const { store, recent, recall } = makeRecall();
        let serial = 0;
        const add = (time: number): string => {
          serial += 1;
          const one = event(serial, { timeUs: time * 1000 });
          recent.add(serial, record(one));
          return one.id;
        };
        const before = new Set(times.map(add));
        const seen: string[] = [];
        let after: Place | undefined;
        for (let turn = 0; ; turn++) {
          const doing = steps[turn];
          if (doing?.flush) store.flush(recent);
          for (let i = 0; i < (doing?.write ?? 0); i++) add(doing.time + i);
          store.beforeRead = () => {
            if (doing?.flushInside) store.flush(recent);
          };
          const page = await recall.page(reader, { filter: {}, order, after, limit });
          expect(page.events.length).toBeLessThanOrEqual(limit);
          seen.push(...page.events.map(({ id }) => id));
          if (!page.hasMore) break;
          after = page.events[page.events.length - 1];
        }
        expect(new Set(seen).size).toBe(seen.length);
        for (const id of before) expect(seen).toContain(id);
      },
    ),
  );
});

test('an offset skips in the total order, also a deep one', async () => {
  const { store, recent, recall } = makeRecall();
  const all = Array.from({ length: 2_600 }, (_, i) => event(i + 1));
  recent.add(1, record(...all.slice(0, 1_300)));
  store.flush(recent);
  recent.add(2, record(...all.slice(1_300)));
  for (const offset of [0, 5, 999, 1_000, 1_001, 2_595, 2_600, 9_999]) {
    const page = await recall.page(reader, { filter: {}, order: 'asc', limit: 10, offset });
    expect(page.events).toEqual(all.slice(offset, offset + 10));
    expect(page.hasMore).toBe(offset + 10 < all.length);
  }
});

test('too many queries at once are refused, and a slow one ends with a sentence', async () => {
  const { store, recall } = makeRecall();
  const query = { filter: {}, order: 'desc', limit: 1 } as const;
  store.read = ({ signal }) =>
    new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason));
    });
  const answers = await Promise.allSettled([1, 2, 3, 4].map(() => recall.page(reader, query)));
  const codes = answers.map((one) => (one.status === 'rejected' ? one.reason.code : 'ok'));
  expect(codes).toEqual(['query_timeout', 'query_timeout', 'overloaded', 'overloaded']);
});

test('what was looked at before the time was over is a page, with a place to go on from', async () => {
  const { store, recent, recall } = makeRecall();
  for (let i = 1; i <= 9; i++) recent.add(i, record(event(i)));
  store.flush(recent);
  for (let i = 10; i <= 12; i++) recent.add(i, record(event(i, { timeUs: (i - 6) * 1000 })));
  const query = { filter: {}, order: 'desc', limit: 20 } as const;
  const readAll = store.read.bind(store);
  store.read = async (asked) => {
    expect(asked.deadline).toBeDefined();
    const { events, through } = await readAll(asked);
    return { events: events.filter(({ timeUs }) => timeUs >= 5000), through, searchedUs: 5000 };
  };
  const part = await recall.page(reader, { ...query, partial: true });
  expect(part.events.map(({ timeUs }) => timeUs)).toEqual(
    [9, 8, 7, 6, 6, 5, 5].map((s) => s * 1000),
  );
  expect(part).toMatchObject({ hasMore: true, searchedUs: 5000 });
  const cut = await recall.page(reader, { ...query, limit: 3, partial: true });
  expect(cut).toMatchObject({ hasMore: true });
  expect(cut.searchedUs).toBeUndefined();
  store.read = readAll;
  const after = placeAfter(5000, 'desc');
  const rest = await recall.page(reader, { ...query, after });
  expect(rest.events.map(({ timeUs }) => timeUs / 1000)).toEqual([4, 4, 3, 2, 1]);
  expect(rest.hasMore).toBe(false);
});

test('only a page that asks for it may be a part of one', async () => {
  const { store, recall } = makeRecall();
  const deadlines: boolean[] = [];
  const readAll = store.read.bind(store);
  store.read = (asked) => {
    deadlines.push(asked.deadline !== undefined);
    return readAll(asked);
  };
  const query = { filter: {}, order: 'desc', limit: 20 } as const;
  await recall.page(reader, query);
  await recall.page(reader, { ...query, partial: true, offset: 3 });
  await recall.page(reader, { ...query, partial: true });
  expect(deadlines).toEqual([false, false, true]);
});

test('a client that goes away stops its query', async () => {
  const { store, recall } = makeRecall();
  let stopped = false;
  store.read = ({ signal }) =>
    new Promise((_, reject) => {
      signal?.addEventListener('abort', () => {
        stopped = true;
        reject(signal.reason);
      });
    });
  const controller = new AbortController();
  const answer = recall.page(
    { ...reader, signal: controller.signal },
    { filter: {}, order: 'desc', limit: 1 },
  );
  setTimeout(() => controller.abort(), 10);
  await expect(answer).rejects.toMatchObject({ code: 'client_closed_request' });
  expect(stopped).toBe(true);
});

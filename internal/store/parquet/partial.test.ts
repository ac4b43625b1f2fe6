import { afterAll, beforeAll, expect, test } from 'vitest';
import { US_PER_DAY } from '../../base/clock.js';
import type { Event, Order, Place } from '../../event/event.js';
import { LocalObjects } from '../../objects/local.js';
import { batchOf, DAY0, eventAt, queryOf } from '../model.suite.js';
import { Duck } from './duck.js';
import { Reader } from './execute.js';
import { RunningReads } from './garbage.js';
import { Guard } from './guard.js';
import { Inspector } from './inspector.js';
import { TestStore } from './support.suite.js';

/** A deadline in the middle of a read: what was looked at is the answer. */

const DAYS = 12;
const ROWS_A_DAY = 5;
let open: TestStore;
let duck: Duck;
let reader: Reader;
const inspector = new Inspector();
const events: Event[] = [];
/** Of `org_b`: in files that all reach over the same times, as those of one day do. */
const overlapping: Event[] = [];
const FILES = 12;

beforeAll(async () => {
  open = await TestStore.open();
  for (let day = 0; day < DAYS; day++) {
    const rows = Array.from({ length: ROWS_A_DAY }, (_, i) =>
      // Two events of each day at the same time, to stand on both sides of a place.
      eventAt((DAY0 + day) * US_PER_DAY + Math.floor(i / 2) * 1000, {
        content: i === 2 || i === 3 ? 'needle' : 'hay',
      }),
    );
    events.push(...rows);
    await open.store.write(batchOf(day, day + 1, rows));
  }
  for (let file = 0; file < FILES; file++) {
    const rows = Array.from({ length: ROWS_A_DAY }, (_, i) =>
      eventAt(DAY0 * US_PER_DAY + i * 1000 + file, { orgId: 'org_b', content: 'needle' }),
    );
    overlapping.push(...rows);
    await open.store.write(batchOf(DAYS + file, DAYS + file + 1, rows));
  }
  const objects = await LocalObjects.open(open.path(''));
  const { catalog } = open;
  duck = new Duck({
    memoryLimitBytes: 128 * 2 ** 20,
    threads: 1,
    maxConcurrent: 1,
    directories: [objects.root],
    spillDirectory: open.path('tmp/spill'),
  });
  const guard = new Guard({ catalog, objects, inspector, onDamage: () => undefined });
  const running = new RunningReads(() => performance.now());
  reader = new Reader({ duck, catalog, objects, guard, running });
});
afterAll(async () => {
  await duck.close();
  await inspector.close();
  await open.close();
});

/** A read whose deadline comes as its `n`th statement (from 0) begins. */
async function readUntilStatement(
  n: number,
  { order, after, orgId = 'org_a' }: { order: Order; after?: Place; orgId?: string },
  signalOf = (deadline: AbortSignal) => deadline,
) {
  const controller = new AbortController();
  const deadline = controller.signal;
  let statements = 0;
  const query = duck.query.bind(duck);
  duck.query = (sql, values, signal) => {
    if (statements++ === n) controller.abort(new Error('the deadline'));
    return query(sql, values, signal);
  };
  try {
    const filter = { contentContains: 'needle' };
    const signal = signalOf(deadline);
    return await reader.page(queryOf({ orgId, filter, order, after, limit: 4, signal, deadline }));
  } finally {
    duck.query = query;
  }
}

test.each<Order>(['desc', 'asc'])('parts of a walk make the whole, %s', async (order) => {
  const wanted = events.filter(({ content }) => content === 'needle');
  const seen: string[] = [];
  let after: Place | undefined;
  let parts = 0;
  for (let turn = 0; turn < 100; turn++) {
    const page = await readUntilStatement(1, { order, after });
    seen.push(...page.events.map(({ id }) => id));
    const last = page.events.at(-1);
    if (page.searchedUs !== undefined) {
      parts += 1;
      const { searchedUs } = page;
      for (const { timeUs } of page.events) {
        expect(order === 'desc' ? timeUs >= searchedUs : timeUs <= searchedUs).toBe(true);
      }
      after = { timeUs: searchedUs, id: order === 'desc' ? '!' : '~' };
    } else if (page.events.length === 4 && last !== undefined) {
      after = last;
    } else break;
  }
  expect(parts).toBeGreaterThan(1);
  expect(new Set(seen)).toEqual(new Set(wanted.map(({ id }) => id)));
  expect(seen.length).toBe(wanted.length);
});

test.each<Order>(['desc', 'asc'])('files that overlap: never back or again, %s', async (order) => {
  const seen: string[] = [];
  let after: Place | undefined;
  let statements = 1;
  for (let turn = 0; turn < 200; turn++) {
    const query = { order, after, orgId: 'org_b' };
    const page = await readUntilStatement(statements, query).catch(() => null);
    if (page === null) {
      // It got no further than where it began: that is no answer; the next try has more time.
      statements += 1;
      expect(statements).toBeLessThan(FILES);
      continue;
    }
    statements = 1;
    seen.push(...page.events.map(({ id }) => id));
    if (page.searchedUs !== undefined) {
      after = { timeUs: page.searchedUs, id: order === 'desc' ? '!' : '~' };
    } else if (page.events.length === 4) after = page.events[3];
    else break;
  }
  const wanted = [...overlapping].sort((a, b) => a.timeUs - b.timeUs).map(({ id }) => id);
  expect(seen).toEqual(order === 'asc' ? wanted : wanted.reverse());
});

test('nothing looked at yet, or the caller gone: a rejection as ever', async () => {
  await expect(readUntilStatement(0, { order: 'desc' })).rejects.toThrow('the deadline');
  const gone = new AbortController();
  const both = (deadline: AbortSignal) => {
    deadline.addEventListener('abort', () => gone.abort(new Error('gone')));
    return gone.signal;
  };
  await expect(readUntilStatement(1, { order: 'desc' }, both)).rejects.toThrow('gone');
});

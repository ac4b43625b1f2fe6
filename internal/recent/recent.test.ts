import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Clock } from '../base/clock.js';
import { type Event, type EventFilter, MEMORY_TYPES, type Order } from '../event/event.js';
import { compareEvents, matches } from '../event/filter.js';
import { rowLine } from '../event/json.js';
import { joinRowLines } from '../event/rowlines.js';
import type { Deletion } from '../metadata/metadata.js';
import { Recent } from './recent.js';

const clock: Clock = { nowUs: () => 1_000_000, monoMs: () => 0 };

function event(i: number, more: Partial<Event> = {}): Event {
  return {
    timeUs: i * 1000,
    id: `mem_${String(i).padStart(26, '0')}`,
    orgId: 'org_a',
    agentId: 'agent',
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

/** What a row knows without its line, and what it reads there. */
const MEMBERS = [
  'timeUs',
  'id',
  'orgId',
  'agentId',
  'sessionId',
  'memoryType',
  'eventType',
  'tagsCsv',
  'parentId',
  'importance',
  'expiresUs',
  'content',
] as const;

function record(events: Event[]) {
  return { events, lines: joinRowLines(events.map(rowLine)) };
}

function query(filter: EventFilter, more: { order?: Order; limit?: number } = {}) {
  const { order = 'desc', limit = 100 } = more;
  return { orgId: 'org_a', filter, nowUs: 0, floorUs: null, order, limit };
}

function deletion(position: number, filter: EventFilter): Deletion {
  return {
    id: `era_${position}`,
    orgId: 'org_a',
    filter,
    stream: 's',
    position,
    requestedUs: 0,
    deadlineUs: 0,
    state: 'accepted',
    doneUs: null,
  };
}

test('a selection is what a plain filter and sort of all rows would give', async () => {
  const arbitrary = fc.array(
    fc.record({
      time: fc.integer({ min: 0, max: 50 }),
      agentId: fc.constantFrom('a', 'b'),
      sessionId: fc.constantFrom('', 's', 't'),
      seal: fc.boolean(),
    }),
    { maxLength: 60 },
  );
  const filters: EventFilter[] = [
    {},
    { agentIds: ['a'] },
    { agentIds: ['a', 'b'] },
    { sessionId: 's' },
    { agentIds: ['b'], sessionId: 't', sinceUs: 10_000, untilUs: 40_000 },
  ];
  await fc.assert(
    fc.asyncProperty(
      arbitrary,
      fc.constantFrom(...filters),
      fc.constantFrom<Order>('asc', 'desc'),
      fc.integer({ min: 1, max: 20 }),
      async (rows, filter, order, limit) => {
        const recent = new Recent(clock, 0);
        const events = rows.map(({ time, agentId, sessionId }, i) =>
          event(i, { timeUs: time * 1000, agentId, sessionId }),
        );
        events.forEach((one, i) => {
          recent.add(i + 1, record([one]));
          if (rows[i].seal) recent.seal();
        });
        const found = await recent.select(query(filter, { order, limit }));
        const wanted = events.filter((one) => matches(one, filter)).sort(compareEvents(order));
        expect(found.map((row) => row.event.id)).toEqual(
          wanted.slice(0, limit).map(({ id }) => id),
        );
      },
    ),
  );
});

test('a deletion takes the rows before it, also sealed ones, and none after it', async () => {
  const recent = new Recent(clock, 0);
  recent.add(1, record([event(1, { agentId: 'a' }), event(2, { agentId: 'b' })]));
  const sealed = recent.seal();
  recent.add(2, record([event(3, { agentId: 'a' })]));
  expect(recent.delete(deletion(3, { agentIds: ['a'] }), 0, null)).toBe(2);
  recent.add(4, record([event(5, { agentId: 'a' })]));
  const left = await recent.select(query({}));
  expect(left.map((row) => row.event.timeUs)).toEqual([5000, 2000]);
  expect(sealed?.live().events.map(({ timeUs }) => timeUs)).toEqual([2000]);
  expect(recent.delete(deletion(5, { agentIds: ['b'] }), 0, null)).toBe(1);
});

test('a deletion counts only what could be seen, and only of its organization', () => {
  const recent = new Recent(clock, 0);
  recent.add(1, record([event(1, { expiresUs: 10 }), event(2, { orgId: 'org_b' }), event(3)]));
  expect(recent.delete(deletion(2, {}), 10, null)).toBe(1);
  expect(recent.find('org_b', event(2).id)?.deleted).toBe(false);
});

test('expired rows and rows beyond the retention are not selected', async () => {
  const recent = new Recent(clock, 0);
  recent.add(1, record([event(1), event(2, { expiresUs: 500 }), event(3)]));
  const base = query({});
  expect(await recent.select({ ...base, nowUs: 499 })).toHaveLength(3);
  expect(await recent.select({ ...base, nowUs: 500 })).toHaveLength(2);
  expect(await recent.select({ ...base, floorUs: 3000 })).toHaveLength(1);
});

test('the lines of a flush are those of the rows that are left, byte for byte', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ content: fc.string({ unit: 'grapheme' }), gone: fc.boolean() })),
      (rows) => {
        const recent = new Recent(clock, 0);
        const events = rows.map(({ content }, i) => event(i, { content }));
        const lines = events.map(rowLine);
        recent.add(1, record(events));
        const ids = events.filter((_, i) => rows[i].gone).map(({ id }) => id);
        recent.delete(deletion(2, { ids }), 0, null);
        const live = recent.seal()?.live();
        const text = Buffer.concat([...(live?.lines ?? [])]).toString('utf8');
        const left = lines.filter((_, i) => !rows[i].gone);
        expect(text).toBe(left.map((line) => `${line}\n`).join(''));
        expect(live?.events).toHaveLength(left.length);
      },
    ),
  );
});

test('a line longer than a piece of memory is kept whole', () => {
  const recent = new Recent(clock, 0);
  const events = [event(1), event(2, { content: '长'.repeat(700_000) })];
  const [short, long] = events.map(rowLine);
  recent.add(1, record(events));
  const live = recent.seal()?.live();
  expect(Buffer.concat([...(live?.lines ?? [])]).toString('utf8')).toBe(`${short}\n${long}\n`);
  expect(live?.longestLine).toBe(Buffer.byteLength(long) + 1);
});

test('a row gives back the event that came, whole and member by member', async () => {
  const some = {
    sessionId: fc.constantFrom('', 's'),
    memoryType: fc.constantFrom(...MEMORY_TYPES),
    eventType: fc.constantFrom('general', 'error'),
    content: fc.string({ unit: 'grapheme', minLength: 1 }),
    metadataJson: fc.constantFrom('', '{"a":"行"}'),
    tagsCsv: fc.constantFrom('', 'a', 'a,b'),
    dedupKey: fc.constantFrom('', 'κλειδί'),
    importance: fc.double({ min: 0, max: 1, noNaN: true }).map((value) => value + 0),
    parentId: fc.constantFrom('', 'mem_parent'),
    expiresUs: fc.constantFrom(null, 2_000_000),
    timeUs: fc.integer({ min: 0, max: 2_000_000_000_000_000 }),
  };
  await fc.assert(
    fc.asyncProperty(fc.array(fc.record(some), { maxLength: 600 }), async (members) => {
      const recent = new Recent(clock, 0);
      const events = members.map((more, i) => event(i, more));
      for (let i = 0; i < events.length; i += 100) {
        recent.add(i + 1, record(events.slice(i, i + 100)));
      }
      const rows = await recent.collect(query({}));
      expect(rows).toHaveLength(events.length);
      for (const [i, row] of rows.reverse().entries()) {
        expect(row.event).toEqual(events[i]);
        for (const name of MEMBERS) expect(row[name]).toBe(events[i][name]);
        expect(recent.find('org_a', events[i].id)?.event.content).toBe(events[i].content);
        expect(row.position).toBe(Math.floor(i / 100) * 100 + 1);
      }
    }),
    { numRuns: 20 },
  );
});

test('sealed generations are consecutive and leave oldest first', () => {
  const recent = new Recent(clock, 7);
  expect(recent.seal()).toBeNull();
  recent.add(8, record([event(1)]));
  recent.add(9, record([event(2)]));
  const first = recent.seal();
  recent.delete(deletion(10, { ids: ['x'] }), 0, null);
  const second = recent.seal();
  expect([first?.from, first?.to, second?.from, second?.to]).toEqual([7, 9, 9, 10]);
  expect(recent.flushedThrough).toBe(7);
  expect(recent.rows).toBe(2);
  recent.drop(9);
  expect(recent.flushedThrough).toBe(9);
  expect(recent.rows).toBe(0);
  expect(recent.bytes).toBe(0);
  recent.drop(10);
  expect(recent.flushedThrough).toBe(10);
});

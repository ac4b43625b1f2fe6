import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Event, EventFilter, Place } from './event.js';
import { comesAfter, compareEvents, matches } from './filter.js';
import { fold } from './fold.js';

const EVENT: Event = {
  timeUs: 1000,
  id: 'mem_1',
  orgId: 'org_1',
  agentId: 'a',
  sessionId: 's',
  memoryType: 'decision',
  eventType: 'error',
  content: 'Größe: 100% of_it ΟΔΥΣΣΕΥΣ 漢字',
  metadataJson: '',
  tagsCsv: 'a.b,cc,d-e',
  dedupKey: '',
  importance: 0.5,
  parentId: 'p',
  ingestedUs: 1000,
  expiresUs: null,
};

const contains = (text: string): EventFilter => ({ contentContains: fold(text) });

test.each<[EventFilter, boolean]>([
  [{}, true],
  [{ sinceUs: 1000 }, true],
  [{ sinceUs: 1001 }, false],
  [{ untilUs: 1000 }, false],
  [{ untilUs: 1001 }, true],
  [{ agentIds: ['b', 'a'] }, true],
  [{ agentIds: ['b'] }, false],
  [{ agentIds: [] }, false],
  [{ ids: ['mem_1'] }, true],
  [{ ids: ['mem_2'] }, false],
  [{ sessionId: 's' }, true],
  [{ sessionId: 'S' }, false],
  [{ memoryTypes: ['episodic', 'decision'] }, true],
  [{ memoryTypes: ['episodic'] }, false],
  [{ eventTypes: ['error'] }, true],
  [{ eventTypes: ['err'] }, false],
  [{ parentId: 'p' }, true],
  [{ parentId: 'q' }, false],
  [{ minImportance: 0.5 }, true],
  [{ minImportance: 0.51 }, false],
  [{ tags: ['cc'] }, true],
  [{ tags: ['d-e', 'a.b'] }, true],
  [{ tags: ['c'] }, false],
  [{ tags: ['cc', 'x'] }, false],
  [{ tags: ['a.b,cc'] }, true],
  [contains('grÖSSE'), false],
  [contains('GRÖßE'), true],
  [contains('100%'), true],
  [contains('1_0'), false],
  [contains('OF_IT'), true],
  [contains('οδυσσευς'), true],
  [contains('字'), true],
])('%j selects: %s', (filter, selected) => {
  expect(matches(EVENT, filter)).toBe(selected);
});

test('members are joined by and', () => {
  expect(matches(EVENT, { sessionId: 's', tags: ['cc'], minImportance: 0.9 })).toBe(false);
});

const PLACE: fc.Arbitrary<Place> = fc.record({
  timeUs: fc.integer({ min: 0, max: 3 }),
  id: fc.constantFrom('mem_A', 'mem_B', 'mem_C'),
});

test('the order is total, and the pages of a sorted list do not overlap', () => {
  fc.assert(
    fc.property(fc.array(PLACE), PLACE, fc.constantFrom('asc', 'desc'), (places, place, order) => {
      const sorted = [...places].sort(compareEvents(order));
      const behind = sorted.filter((other) => comesAfter(other, place, order));
      expect(sorted.slice(sorted.length - behind.length)).toEqual(behind);
      for (const other of sorted) {
        const same = other.timeUs === place.timeUs && other.id === place.id;
        const sides = [comesAfter(other, place, order), comesAfter(place, other, order), same];
        expect(sides.filter(Boolean)).toHaveLength(1);
      }
    }),
  );
});

test('newest first is the reverse of oldest first', () => {
  const places = [
    { timeUs: 2, id: 'b' },
    { timeUs: 1, id: 'c' },
    { timeUs: 2, id: 'a' },
  ];
  expect(places.sort(compareEvents('desc')).map((place) => place.id)).toEqual(['b', 'a', 'c']);
  expect(places.sort(compareEvents('asc')).map((place) => place.id)).toEqual(['c', 'a', 'b']);
});

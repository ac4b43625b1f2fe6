import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Dated, keptBy } from './policy.js';

const HOUR = 3_600_000_000;
const NOW = Date.UTC(2026, 10, 28, 12, 30) * 1000;

/** One backup every hour, newest first. */
const hourly = (count: number): Dated[] =>
  Array.from({ length: count }, (_, i) => ({ id: `b${i}`, createdUs: NOW - i * HOUR }));

test('keeps the newest of each hour, day and week', () => {
  const kept = keptBy({ hourly: 3, daily: 2, weekly: 2 }, hourly(24 * 20));
  // b13 is 23:30 of the day before; Saturday is the 28th, so Sunday the 22nd ends the week before.
  const sunday = 12 + 24 * 5 + 1;
  expect([...kept].sort()).toEqual(['b0', 'b1', 'b2', 'b13', `b${sunday}`].sort());
});

test('several of one hour: only the newest', () => {
  const at = (id: string, minute: number) => ({ id, createdUs: NOW + minute * 60_000_000 });
  const kept = keptBy({ hourly: 2, daily: 0, weekly: 0 }, [at('a', 0), at('b', 5), at('c', -40)]);
  expect([...kept].sort()).toEqual(['b', 'c']);
});

test('hours without a backup do not count', () => {
  const kept = keptBy({ hourly: 2, daily: 0, weekly: 0 }, [
    { id: 'old', createdUs: NOW - 5_000 * HOUR },
    { id: 'new', createdUs: NOW },
  ]);
  expect([...kept].sort()).toEqual(['new', 'old']);
});

test('the newest is always kept, and never more than the policy says', () => {
  const some = fc.array(fc.integer({ min: 0, max: 5_000 }), { minLength: 1, maxLength: 60 });
  const count = fc.integer({ min: 0, max: 20 });
  fc.assert(
    fc.property(some, count, count, count, (hours, hourlyKept, daily, weekly) => {
      const backups = hours.map((hour, i) => ({ id: `b${i}`, createdUs: NOW - hour * HOUR + i }));
      const kept = keptBy({ hourly: hourlyKept, daily, weekly }, backups);
      const newest = backups.reduce((a, b) => (a.createdUs > b.createdUs ? a : b));
      expect(kept.has(newest.id)).toBe(true);
      expect(kept.size).toBeLessThanOrEqual(Math.max(1, hourlyKept + daily + weekly));
      // What is kept stays kept after the rest is gone: to prune twice is to prune once.
      const left = backups.filter(({ id }) => kept.has(id));
      expect(keptBy({ hourly: hourlyKept, daily, weekly }, left)).toEqual(kept);
    }),
  );
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keptBy } from './policy.js';
import { dueBackup, type Made, Schedule } from './schedule.js';

const HOUR_MS = 3_600_000;
const HOUR_US = HOUR_MS * 1000;
const EVERY = { incrementalEveryMs: HOUR_MS, fullEveryMs: 24 * HOUR_MS };
const NOW = Date.UTC(2026, 10, 28, 12) * 1000;

test('what is due follows from what is there', () => {
  const full = (hoursAgo: number): Made => ({ kind: 'full', createdUs: NOW - hoursAgo * HOUR_US });
  const part = (hoursAgo: number): Made => ({ ...full(hoursAgo), kind: 'incremental' });
  expect(dueBackup([], NOW, EVERY)).toBe('full');
  expect(dueBackup([full(0.5)], NOW, EVERY)).toBeNull();
  expect(dueBackup([full(1)], NOW, EVERY)).toBe('incremental');
  expect(dueBackup([full(23), part(0.5)], NOW, EVERY)).toBeNull();
  expect(dueBackup([full(24), part(0.5)], NOW, EVERY)).toBe('full');
  // Made by a clock that was put back since.
  expect(dueBackup([full(-5)], NOW, EVERY)).toBe('full');
  expect(dueBackup([], NOW, { incrementalEveryMs: 0, fullEveryMs: 0 })).toBeNull();
  expect(dueBackup([], NOW, { ...EVERY, fullEveryMs: 0 })).toBe('incremental');
});

test('restarts at any time neither skip a backup nor make one twice', async () => {
  const restarts = fc.array(fc.integer({ min: 1, max: 180 }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(restarts, async (minutes) => {
      const target: Made[] = [];
      let ms = 0;
      const clock = { nowUs: () => NOW + ms * 1000, monoMs: () => ms };
      const scheduleOf = () =>
        new Schedule({
          clock,
          settings: EVERY,
          made: async () => [...target],
          make: async (kind) => {
            target.push({ kind, createdUs: clock.nowUs() });
          },
          tidy: async () => undefined,
          onFailed: (error) => {
            throw error;
          },
        });
      for (const run of minutes) {
        const schedule = scheduleOf();
        for (let minute = 0; minute < run; minute += 1) {
          await schedule.look();
          ms += 60_000;
        }
      }
      const times = target.map(({ createdUs }) => createdUs);
      const gaps = times.slice(1).map((us, i) => us - (times[i] ?? 0));
      expect(gaps.every((us) => us === HOUR_US)).toBe(true);
      const fulls = target.filter(({ kind }) => kind === 'full').length;
      expect(fulls).toBe(Math.ceil(times.length / 24));
    }),
    { numRuns: 30 },
  );
});

test('a target that refuses is asked less and less often, and never a hundred times', async () => {
  let ms = 1;
  const asked: number[] = [];
  const schedule = new Schedule({
    clock: { nowUs: () => NOW + ms * 1000, monoMs: () => ms },
    settings: EVERY,
    made: async () => {
      asked.push(ms);
      throw new Error('out of reach');
    },
    make: async () => undefined,
    tidy: async () => undefined,
    onFailed: () => undefined,
  });
  for (; ms < 12 * HOUR_MS; ms += 30_000) await schedule.look();
  const waits = asked.slice(1).map((at, i) => at - (asked[i] ?? 0));
  expect(waits.slice(0, 3)).toEqual([60_000, 120_000, 240_000]);
  expect(Math.max(...waits)).toBe(HOUR_MS);
  expect(asked.length).toBeLessThan(20);
});

test('old backups go at their age; the newest never, and never more than without', () => {
  const backups = fc.array(fc.integer({ min: 0, max: 400 * 24 }), { minLength: 1, maxLength: 60 });
  const counts = fc.integer({ min: 0, max: 30 });
  fc.assert(
    fc.property(backups, counts, counts, (hours, hourly, daily) => {
      const made = hours.map((ago, i) => ({ id: `b${i}`, createdUs: NOW - ago * HOUR_US }));
      const policy = { hourly, daily, weekly: 26 };
      const notBeforeUs = NOW - 180 * 24 * HOUR_US;
      const without = keptBy(policy, made);
      const kept = keptBy({ ...policy, notBeforeUs }, made);
      const newestUs = Math.max(...made.map(({ createdUs }) => createdUs));
      expect(made.some(({ id, createdUs }) => kept.has(id) && createdUs === newestUs)).toBe(true);
      for (const { id, createdUs } of made) {
        if (createdUs >= notBeforeUs) expect(kept.has(id)).toBe(without.has(id));
        else if (kept.has(id)) expect(createdUs).toBe(newestUs);
      }
    }),
  );
});

import { expect, test } from 'vitest';
import { seeded } from './harness.suite.js';
import { type PlannedRun, planMerge } from './plan.js';

const HOUR = 3_600_000_000;
const WINDOW = 24 * HOUR;

interface Day {
  /** Keys a second. */
  rate: number;
  flushSeconds: number;
  random: () => number;
}

/** Two days of flushes, each followed by all merges that are due. */
function simulate({ rate, flushSeconds, random }: Day) {
  const seen = { most: 0, peak: 0, total: 0, mean: 0, flushed: 0, rewritten: 0 };
  let runs: PlannedRun[] = [];
  const flushes = (2 * 86_400) / flushSeconds;
  for (let i = 0; i < flushes; i++) {
    const newestUs = i * flushSeconds * 1_000_000;
    const keys = Math.round(rate * flushSeconds * 2 * random());
    runs.push({ keys, newestUs });
    seen.flushed += keys;
    runs = runs.filter((run) => run.newestUs > newestUs - WINDOW);
    for (let plan = planMerge(runs, WINDOW); plan !== null; plan = planMerge(runs, WINDOW)) {
      const part = runs.slice(plan.from, plan.to);
      const sum = total(part);
      const newest = Math.max(...part.map((run) => run.newestUs));
      seen.peak = Math.max(seen.peak, total(runs) + sum);
      seen.rewritten += sum;
      runs.splice(plan.from, plan.to - plan.from, { keys: sum, newestUs: newest });
    }
    seen.most = Math.max(seen.most, runs.length);
    seen.mean += runs.length / flushes;
    seen.total = Math.max(seen.total, total(runs));
  }
  return seen;
}

function total(runs: PlannedRun[]): number {
  return runs.reduce((sum, run) => sum + run.keys, 0);
}

for (const flushSeconds of [5, 60, 300]) {
  test(`1,000 keys a second, flushed every ${flushSeconds} s: few runs, few rewrites`, () => {
    const seen = simulate({ rate: 1000, flushSeconds, random: seeded(3) });
    expect(seen.most).toBeLessThanOrEqual(26);
    expect(seen.mean).toBeLessThan(13);
    expect(seen.rewritten / seen.flushed).toBeLessThan(6);
    // What memory must hold: live keys, expired ones not dropped yet, and a merge's second copy.
    expect(seen.total).toBeLessThan(105e6);
    expect(seen.peak).toBeLessThan(115e6);
  });
}

test('runs of different epochs stay apart, an epoch that is over becomes one', () => {
  const run = (keys: number, hours: number): PlannedRun => ({ keys, newestUs: hours * HOUR });
  expect(planMerge([], WINDOW)).toBeNull();
  expect(planMerge([run(5, 1)], WINDOW)).toBeNull();
  expect(planMerge([run(5, 1), run(5, 5), run(5, 9)], WINDOW)).toBeNull();
  expect(planMerge([run(5, 1), run(9, 2), run(5, 5)], WINDOW)).toEqual({ from: 0, to: 2 });
  // The epoch being written: four that together reach the older one.
  expect(planMerge([run(5, 1), run(5, 2), run(5, 3)], WINDOW)).toBeNull();
  const four = [run(50, 1), run(5, 2), run(4, 2), run(5, 3), run(5, 3)];
  expect(planMerge(four, WINDOW)).toEqual({ from: 1, to: 5 });
});

test('no run grows beyond what a merge may hold twice', () => {
  const big = Array.from({ length: 12 }, () => ({ keys: 5_000_000, newestUs: 1 }));
  const plan = planMerge(big, WINDOW);
  expect(plan).not.toBeNull();
  expect(total(big.slice(plan?.from, plan?.to))).toBeLessThanOrEqual(16_000_000);
  const full = Array.from({ length: 12 }, () => ({ keys: 9_000_000, newestUs: 1 }));
  expect(planMerge(full, WINDOW)).toBeNull();
});

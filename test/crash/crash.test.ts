import { expect, it } from 'vitest';
import { freshSeed } from '../support/random.js';
import { crashCycles, describe } from './cycles.js';

const CYCLES = 20;
const TIMEOUT_MS = 600_000;

it(`survives ${CYCLES} times kill -9 under eight writers: nothing lost, doubled or altered`, {
  timeout: TIMEOUT_MS,
}, async () => {
  const seed = freshSeed();
  const report = await crashCycles({ cycles: CYCLES, seed });
  console.log(`seed ${seed}: ${describe(report)}`);
  expect(report.findings, `seed ${seed}`).toEqual([]);
  expect(report.acked).toBeGreaterThan(0);
  expect(report.cycles).toBe(CYCLES);
});

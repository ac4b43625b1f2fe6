import { expect, it } from 'vitest';
import { freshSeed } from '../support/random.js';
import { BUSY_UPKEEP, crashCycles, describe } from './cycles.js';

const TIMEOUT_MS = 600_000;

it.each([
  [20, 'the defaults', {}],
  [5, 'a compactor that runs all the time', BUSY_UPKEEP],
])(
  'survives %d times kill -9 under eight writers, with %s',
  {
    timeout: TIMEOUT_MS,
  },
  async (cycles, _, env) => {
    const seed = freshSeed();
    const report = await crashCycles({ cycles, seed, env });
    console.log(`seed ${seed}: ${describe(report)}`);
    expect(report.findings, `seed ${seed}`).toEqual([]);
    expect(report.acked).toBeGreaterThan(0);
    expect(report.cycles).toBe(cycles);
  },
);

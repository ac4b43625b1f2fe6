import { expect, it } from 'vitest';
import { freshSeed } from '../support/random.js';
import { crashCycles, describe } from './cycles.js';

const TIMEOUT_MS = 600_000;

it.each([
  { cycles: 20, upkeep: false, beside: 'the defaults' },
  { cycles: 5, upkeep: true, beside: 'a compactor that runs all the time' },
])(
  'survives $cycles times kill -9 under eight writers, with $beside',
  {
    timeout: TIMEOUT_MS,
  },
  async ({ cycles, upkeep }) => {
    const seed = freshSeed();
    const report = await crashCycles({ cycles, seed, upkeep });
    console.log(`seed ${seed}: ${describe(report)}`);
    expect(report.findings, `seed ${seed}`).toEqual([]);
    expect(report.acked).toBeGreaterThan(0);
    expect(report.cycles).toBe(cycles);
    if (upkeep) expect(report.merges).toBeGreaterThan(0);
  },
);

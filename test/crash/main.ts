import { parseArgs } from 'node:util';
import { freshSeed } from '../support/random.js';
import { crashCycles, describe } from './cycles.js';

/**
 * `npm run test:crash -- --cycles 200 [--seed 7] [--upkeep]`: exits with 1 if anything was lost or
 * changed. With --upkeep files are merged and erased all the time.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      cycles: { type: 'string', default: '100' },
      seed: { type: 'string' },
      upkeep: { type: 'boolean', default: false },
    },
  });
  const seed = values.seed === undefined ? freshSeed() : Number(values.seed);
  console.log(`seed ${seed}`);
  const report = await crashCycles({
    cycles: Number(values.cycles),
    seed,
    upkeep: values.upkeep,
    report: (line) => console.log(line),
  });
  for (const { kind, id, text } of report.findings.slice(0, 50)) {
    console.log(`${kind} ${id}: ${text}`);
  }
  console.log(`seed ${seed}, ${report.cycles} cycles: ${describe(report)}`);
  console.log(
    `killed ${report.killed} under load, ${report.killedInStart} while starting, ` +
      `${report.stoppedGently} stopped gently; slowest start ${report.slowestReadyMs} ms; ` +
      `${report.merges} merges of files`,
  );
  process.exitCode = report.findings.length === 0 ? 0 : 1;
}

await main();

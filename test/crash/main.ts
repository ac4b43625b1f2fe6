import { parseArgs } from 'node:util';
import { freshSeed } from '../support/random.js';
import { crashCycles, describe } from './cycles.js';

/**
 * `npm run test:crash -- --cycles 200 [--seed 7]`: exits with 1 if anything was lost or changed.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { cycles: { type: 'string', default: '100' }, seed: { type: 'string' } },
  });
  const seed = values.seed === undefined ? freshSeed() : Number(values.seed);
  console.log(`seed ${seed}`);
  const report = await crashCycles({
    cycles: Number(values.cycles),
    seed,
    report: (line) => console.log(line),
  });
  for (const { kind, id, text } of report.findings.slice(0, 50)) {
    console.log(`${kind} ${id}: ${text}`);
  }
  console.log(`seed ${seed}, ${report.cycles} cycles: ${describe(report)}`);
  console.log(
    `killed ${report.killed} under load, ${report.killedInStart} while starting, ` +
      `${report.stoppedGently} stopped gently; slowest start ${report.slowestReadyMs} ms`,
  );
  process.exitCode = report.findings.length === 0 ? 0 : 1;
}

await main();

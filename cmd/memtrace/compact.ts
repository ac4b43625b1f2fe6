import type { Command } from 'commander';
import { dayName } from '../../internal/base/clock.js';
import type { CompactReport } from '../../internal/upkeep/upkeep.js';
import { addConfigFlags } from './config.js';
import { operate } from './operate.js';
import { print, table } from './output.js';
import { configOf } from './store.js';

interface Options {
  json?: boolean;
  day?: string;
  dryRun?: boolean;
}

/** `memtrace compact` */
export function registerCompact(program: Command): void {
  const compact = program
    .command('compact')
    .description('merge small files and remove what was deleted from the disk, now')
    .option('--day <YYYY-MM-DD>', 'merge only files of this UTC day')
    .option('--dry-run', 'only say what would be merged')
    .option('--json', 'print JSON');
  addConfigFlags(compact).action(async ({ json, day, dryRun }: Options) => {
    const report = await operate<CompactReport>(configOf(compact), {
      command: 'compact',
      args: { day, dryRun: dryRun === true },
      onProgress: (progress) => {
        if (!json && process.stderr.isTTY) process.stderr.write(`\r${JSON.stringify(progress)}`);
      },
    });
    if (json) print(report);
    else if (dryRun) preview(report);
    else describe(report);
  });
}

function preview({ groups, erasuresPending }: CompactReport): void {
  const rows = groups.map(({ day, files, rows, bytes }) => [
    dayName(day),
    String(files),
    String(rows),
    String(bytes),
  ]);
  if (rows.length > 0) process.stdout.write(table(['DAY', 'FILES', 'ROWS', 'BYTES'], rows));
  process.stdout.write(`${rows.length} merges, ${erasuresPending} erasures pending\n`);
}

function describe({ filesIn, filesOut, bytesIn, bytesOut, erasuresPending }: CompactReport): void {
  process.stdout.write(
    `merged ${filesIn} files of ${bytesIn} bytes into ${filesOut} of ${bytesOut}; ` +
      `${erasuresPending} erasures pending\n`,
  );
}

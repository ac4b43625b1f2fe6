import type { Command } from 'commander';
import type { RestoreReport } from '../../internal/backup/restore.js';
import { formatUs, systemClock } from '../../internal/base/clock.js';
import { Fault } from '../../internal/fault/fault.js';
import { objectsAt, progressOf } from './backup.js';
import { addConfigFlags } from './config.js';
import { EXIT, print } from './output.js';
import { configOf } from './store.js';

interface Options {
  json?: boolean;
  from?: string;
  to: string;
  backup: string;
  until?: string;
}

/** `memtrace restore` */
export function registerRestore(program: Command): void {
  const restore = program
    .command('restore')
    .description('make a data directory of a backup')
    .option('--from <place>', 'where the backups are (default: [backup] target)')
    .requiredOption('--to <dir>', 'the new data directory: absent, or empty')
    .option(
      '--backup <id>',
      'which backup (default: the newest, or the newest before --until)',
      'latest',
    )
    .option('--until <time>', 'what was there at that time, e.g. 2026-11-28T12:00:00Z')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nThe data directory appears once all of it is there and checked. Then start the server:\n' +
        '  memtrace serve --data-dir <dir>\n' +
        'Exit codes: 0 everything was restored, 3 something is missing (it says what), ' +
        '1 nothing was restored.',
    );
  addConfigFlags(restore).action(async (options: Options) => {
    const module = await import('../../internal/backup/restore.js');
    const { DirectMover } = await import('../../internal/backup/mover.js');
    const { applyTimeline } = await import('../../internal/backup/timeline.js');
    const { FORMAT_VERSION } = await import('../../internal/engine/datadir.js');
    const objects = await objectsAt(configOf(restore), options.from);
    const report = await module.restore(
      {
        objects,
        mover: new DirectMover(objects),
        clock: systemClock,
        format: FORMAT_VERSION,
        timeline: applyTimeline,
      },
      {
        to: options.to,
        backup: options.backup,
        untilUs: timeOf(options.until),
        onProgress: progressOf(options.json === true),
      },
    );
    if (report.missing.length + report.gaps.length > 0) process.exitCode = EXIT.damaged;
    if (options.json) print(report);
    else describe(report);
  });
}

function timeOf(text: string | undefined): number | null {
  if (text === undefined) return null;
  const zoned = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/.test(text);
  const ms = zoned ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new Fault('invalid_field', `--until must be a time like 2026-11-28T12:00:00Z: ${text}`);
  }
  return ms * 1000;
}

function describe(report: RestoreReport): void {
  const { id, to, files, bytes, rows, position, throughUs } = report;
  for (const { key, rows: lost, reason } of report.missing) {
    process.stdout.write(`missing: ${key} with ${lost} rows: ${reason}\n`);
  }
  const { records = 0, changes = 0, erasures = 0, revocations = 0 } = report;
  for (const gap of report.gaps) process.stdout.write(`missing: ${gap}\n`);
  process.stdout.write(
    `restored ${id} into ${to}: ${rows} events in ${files} files, ${bytes} bytes, ` +
      `${records} records of the log, as of ${formatUs(throughUs)} (log position ${position})\n`,
  );
  process.stdout.write(
    `since the backup: ${changes} changes of keys, agents and sessions; ` +
      `applied ${erasures} erasures and ${revocations} revocations\n`,
  );
}

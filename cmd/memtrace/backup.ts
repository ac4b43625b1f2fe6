import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { BackupProgress, BackupReport } from '../../internal/backup/create.js';
import type { Manifest } from '../../internal/backup/manifest.js';
import type { Entry } from '../../internal/backup/target.js';
import { formatUs, systemClock, US_PER_DAY } from '../../internal/base/clock.js';
import type { Config } from '../../internal/config/table.js';
import { Fault } from '../../internal/fault/fault.js';
import type { Objects } from '../../internal/objects/objects.js';
import { openObjects, s3SettingsOf } from '../../internal/objects/open.js';
import { addConfigFlags } from './config.js';
import { operate } from './operate.js';
import { EXIT, print, table } from './output.js';
import { configOf } from './store.js';

interface Options {
  json?: boolean;
  to?: string;
  from?: string;
  incremental?: boolean;
  dryRun?: boolean;
  keepHourly?: string;
  keepDaily?: string;
  keepWeekly?: string;
  grace?: string;
}

const PLACE =
  'a directory, or s3://bucket/prefix ([backup] s3_* says how S3 is reached); ' +
  'default: [backup] target';

/** `memtrace backup create|list|verify|prune` */
export function registerBackup(program: Command): void {
  const backup = program
    .command('backup')
    .description('copy everything to another place, and look after the copies');
  registerCreate(backup);
  registerList(backup);
  registerBackupVerify(backup);
  registerPrune(backup);
}

function registerCreate(backup: Command): void {
  const create = backup
    .command('create')
    .description('make a backup of the server at work, or of its data directory')
    .option('--to <place>', PLACE)
    .option('--incremental', 'only copy what is new; without it all that is there is read again')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nFiles that an earlier backup in the same place copied are not copied again.\n' +
        'Exit codes: 0 made, 3 made without what it names, 1 not made.',
    );
  addConfigFlags(create).action(async ({ json, to, incremental }: Options) => {
    const config = configOf(create);
    const settings = s3SettingsOf(config.backup);
    const own = Object.values(settings).some((value) => value !== '' && value !== false);
    const report = await operate<BackupReport>(config, {
      command: 'backup-create',
      args: {
        to: absolute(placeOf(config, to)),
        incremental: incremental === true,
        ...(own ? { settings } : {}),
      },
      onProgress: progressOf(json === true),
    });
    if (json) print(report);
    else describeCreated(report);
    const whole = report.missing.length === 0 && report.warnings.length === 0;
    if (!whole) process.exitCode = EXIT.damaged;
  });
}

/** A server at work has another working directory. */
function absolute(place: string): string {
  return place.includes('://') || place === '' ? place : resolve(place);
}

/** Shows on a terminal how far it got. */
export function progressOf(quiet: boolean): (progress: unknown) => void {
  if (quiet || !process.stderr.isTTY) return () => undefined;
  return (progress) => {
    const { step, files, ofFiles, bytes, ofBytes } = progress as BackupProgress;
    const share = ofBytes === 0 ? 100 : Math.floor((100 * bytes) / ofBytes);
    process.stderr.write(`\r${step}: ${files} of ${ofFiles} files, ${share} %   `);
    if (files === ofFiles) process.stderr.write('\n');
  };
}

function describeCreated(report: BackupReport): void {
  const { id, kind, files, bytes, rows, copiedFiles, copiedBytes, verifiedFiles } = report;
  for (const warning of report.warnings) process.stdout.write(`warning: ${warning}\n`);
  for (const key of report.repaired) {
    process.stdout.write(`repaired: ${key} was damaged in the backup and was copied again\n`);
  }
  for (const { key, rows: lost, reason } of report.missing) {
    process.stdout.write(`missing: ${key} with ${lost} rows: ${reason}\n`);
  }
  const read = kind === 'full' ? `, ${verifiedFiles} read again` : '';
  process.stdout.write(
    `${id}: ${rows} events in ${files} files, ${bytes} bytes; ` +
      `copied ${copiedFiles} files of ${copiedBytes} bytes${read}\n`,
  );
}

function registerList(backup: Command): void {
  const list = backup
    .command('list')
    .description('list the backups of a place, newest first')
    .option('--from <place>', PLACE)
    .option('--json', 'print JSON');
  addConfigFlags(list).action(async ({ json, from }: Options) => {
    const { entriesOf } = await import('../../internal/backup/target.js');
    const entries = await entriesOf(await objectsAt(configOf(list), from));
    if (json) return print({ backups: entries.map(viewOf) });
    const rows = entries
      .map(viewOf)
      .map(({ id, created, kind, rows, files, bytes, state }) =>
        [id, created, kind, rows, files, bytes, state].map((cell) => String(cell ?? '')),
      );
    const headings = ['ID', 'MADE', 'KIND', 'EVENTS', 'FILES', 'BYTES', 'STATE'];
    process.stdout.write(rows.length === 0 ? 'no backups\n' : table(headings, rows));
  });
}

interface BackupView extends Partial<Manifest['totals']> {
  id: string;
  state: string;
  created?: string;
  kind?: Manifest['kind'];
  version?: string;
  position?: number;
}

function viewOf({ id, manifest, problem }: Entry): BackupView {
  if (manifest === null) return { id, state: problem === null ? 'unfinished' : 'damaged' };
  const { createdUs, kind, version, totals, missing, stream, positions } = manifest;
  const state = missing.length === 0 ? 'complete' : `lacks ${missing.length} files`;
  const position = positions[stream];
  return { id, state, created: formatUs(createdUs), kind, version, position, ...totals };
}

/** The place of backups, which must be there; default: `[backup] target`. */
export function objectsAt(config: Config, place?: string): Promise<Objects> {
  return openObjects(placeOf(config, place), s3SettingsOf(config.backup), false);
}

function placeOf(config: Config, place = config.backup.target): string {
  if (place !== '') return place;
  const option = 'name the place of the backups, or set [backup] target';
  throw new Fault('invalid_field', option);
}

function registerBackupVerify(backup: Command): void {
  const verify = backup
    .command('verify [id]')
    .description('read a backup to its end and compare it with its manifest (default: the newest)')
    .option('--from <place>', PLACE)
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExit codes: 0 whole, 3 something is missing or damaged, 1 no answer.');
  addConfigFlags(verify).action(async (id: string | undefined, { json, from }: Options) => {
    const { verifyBackup } = await import('../../internal/backup/verify.js');
    const { DirectMover } = await import('../../internal/backup/mover.js');
    const objects = await objectsAt(configOf(verify), from);
    const parts = { objects, mover: new DirectMover(objects) };
    const report = await verifyBackup(parts, id ?? 'latest', progressOf(json === true));
    if (report.findings.length > 0) process.exitCode = EXIT.damaged;
    if (json) return print(report);
    for (const { key, message } of report.findings) {
      process.stdout.write(`damage: ${key}: ${message}\n`);
    }
    const { findings, files, bytes } = report;
    const verdict = findings.length === 0 ? 'all whole' : `${findings.length} findings`;
    process.stdout.write(`${report.id}: ${files} files, ${bytes} bytes: ${verdict}\n`);
  });
}

function registerPrune(backup: Command): void {
  const prune = backup
    .command('prune')
    .description('remove backups that need not be kept, and what only they needed')
    .option('--from <place>', PLACE)
    .option('--keep-hourly <n>', 'keep the newest of so many hours that have one')
    .option('--keep-daily <n>', 'the same of days')
    .option('--keep-weekly <n>', 'the same of weeks')
    .option('--grace <hours>', 'leave what was written in the last hours', '24')
    .option('--dry-run', 'only say what would be removed')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nWhat is not said is taken from [backup] keep_hourly, keep_daily, keep_weekly and ' +
        'delete_after_days.\nThe newest backup is always kept. ' +
        'While one is made, no files are removed.\n' +
        'Exit codes: 0 done, 3 a damaged manifest keeps files from being removed, 1 not done.',
    );
  addConfigFlags(prune).action(async (given: Options) => {
    const config = configOf(prune);
    const options = { ...keptByConfig(config), ...given };
    const module = await import('../../internal/backup/prune.js');
    const { pruneShipped } = await import('../../internal/backup/prune-shipped.js');
    const objects = await objectsAt(config, options.from);
    const report = await module.prune(objects, {
      policy: {
        ...notBefore(config),
        hourly: count('keep-hourly', options.keepHourly),
        daily: count('keep-daily', options.keepDaily),
        weekly: count('keep-weekly', options.keepWeekly),
      },
      nowUs: systemClock.nowUs(),
      graceMs: 3_600_000 * count('grace', options.grace),
      dryRun: options.dryRun === true,
    });
    const fromUs = systemClock.nowUs() - 3_600_000_000 * count('keep-hourly', options.keepHourly);
    const shipped = options.dryRun ? 0 : await pruneShipped(objects, fromUs);
    if (report.damaged) process.exitCode = EXIT.damaged;
    if (options.json) return print({ ...report, shipped });
    const would = options.dryRun ? 'would remove' : 'removed';
    for (const id of report.removed) process.stdout.write(`${would} ${id}\n`);
    if (report.left !== null) process.stdout.write(`files were left: ${report.left}\n`);
    process.stdout.write(
      `${would} ${report.removed.length} backups and ${report.objects} files of ` +
        `${report.bytes} bytes; ${report.kept.length} backups are kept\n`,
    );
  });
}

function keptByConfig({ backup }: Config) {
  const { keepHourly, keepDaily, keepWeekly } = backup;
  return {
    keepHourly: String(keepHourly),
    keepDaily: String(keepDaily),
    keepWeekly: String(keepWeekly),
  };
}

function notBefore({ backup }: Config): { notBeforeUs?: number } {
  const { deleteAfterDays } = backup;
  if (deleteAfterDays === 0) return {};
  return { notBeforeUs: systemClock.nowUs() - deleteAfterDays * US_PER_DAY };
}

function count(name: string, text = ''): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new Fault('invalid_field', `--${name} must be a whole number: ${text}`);
}

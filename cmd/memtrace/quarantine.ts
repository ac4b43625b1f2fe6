import type { Command } from 'commander';
import type { Config } from '../../internal/config/table.js';
import type { QuarantinedFile } from '../../internal/upkeep/give-up.js';
import { addConfigFlags } from './config.js';
import { operate } from './operate.js';
import { EXIT, print, table } from './output.js';
import { configOf } from './store.js';

interface DropOptions {
  json?: boolean;
  all?: boolean;
  yes?: boolean;
}

/** `memtrace quarantine list | drop` */
export function registerQuarantine(program: Command): void {
  const quarantine = program
    .command('quarantine')
    .description('damaged files that reads leave out: see them, or give them up');
  const list = quarantine
    .command('list')
    .description('damaged files, and what is lost with each')
    .option('--json', 'print JSON')
    .addHelpText('after', '\nExit codes: 0 there is none, 3 there are some, 1 it cannot be told.');
  addConfigFlags(list).action(async ({ json }: { json?: boolean }) => {
    const files = await listed(configOf(list));
    if (json) print({ files });
    else process.stdout.write(files.length === 0 ? 'nothing is in quarantine\n' : describe(files));
    if (files.length > 0) process.exitCode = EXIT.damaged;
  });
  const drop = quarantine
    .command('drop [keys...]')
    .description('remove damaged files for good: their rows are lost')
    .option('--all', 'every file in quarantine')
    .option('--yes', 'do it; without it, only say what would be lost')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nExit codes: 0 removed (or there was nothing), 2 --yes, a key or --all is missing, ' +
        '1 a key is not in quarantine: nothing was removed.',
    );
  addConfigFlags(drop).action(async (keys: string[], { json, all, yes }: DropOptions) => {
    if (keys.length > 0 === (all === true)) drop.error('error: give keys, or --all');
    const config = configOf(drop);
    const files = yes
      ? await operate<QuarantinedFile[]>(config, {
          command: 'quarantine-drop',
          args: { keys: all ? null : keys },
        })
      : chosen(await listed(config), keys);
    const dropped = yes === true;
    if (json) print({ dropped, rows: rowsOf(files), files });
    else process.stdout.write(`${describe(files)}${summary(files, dropped)}\n`);
    if (dropped || files.length === 0) return;
    process.stderr.write('nothing was removed: give --yes to remove them for good\n');
    process.exitCode = EXIT.usage;
  });
}

function listed(config: Config): Promise<QuarantinedFile[]> {
  return operate<QuarantinedFile[]>(config, { command: 'quarantine-list', args: {} });
}

function chosen(files: readonly QuarantinedFile[], keys: readonly string[]): QuarantinedFile[] {
  const unknown = keys.find((key) => files.every((file) => file.key !== key));
  if (unknown !== undefined) throw new Error(`${unknown} is not in quarantine`);
  return files.filter(({ key }) => keys.length === 0 || keys.includes(key));
}

function describe(files: readonly QuarantinedFile[]): string {
  if (files.length === 0) return '';
  const rows = files.map(({ key, day, rows, bytes, orgs, reason }) => [
    day,
    String(rows),
    String(bytes),
    orgs.map((org) => `${org.name ?? org.id} (${org.rows})`).join(', '),
    reason,
    key,
  ]);
  return table(['DAY', 'ROWS', 'BYTES', 'ORGANIZATIONS (ROWS)', 'WHY', 'KEY'], rows);
}

function summary(files: readonly QuarantinedFile[], dropped: boolean): string {
  const days = [...new Set(files.map(({ day }) => day))].sort();
  const orgs = new Set(files.flatMap((file) => file.orgs.map(({ id }) => id)));
  const lost = dropped ? 'removed' : 'would be removed';
  if (files.length === 0) return 'nothing is in quarantine';
  return (
    `${files.length} files with ${rowsOf(files)} rows of ${orgs.size} organizations ${lost}; ` +
    `days: ${days.join(', ')}`
  );
}

function rowsOf(files: readonly QuarantinedFile[]): number {
  return files.reduce((sum, { rows }) => sum + rows, 0);
}

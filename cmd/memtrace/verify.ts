import type { Command } from 'commander';
import type { VerifyProgress, VerifyReport } from '../../internal/store/parquet/verify.js';
import { addConfigFlags } from './config.js';
import { operate } from './operate.js';
import { EXIT, print } from './output.js';
import { ProgressBar } from './progress.js';
import { configOf } from './store.js';

interface Options {
  json?: boolean;
  deep?: boolean;
}

/** `memtrace verify` */
export function registerVerify(program: Command): void {
  const verify = program
    .command('verify')
    .description('re-read every file with a second reader and compare it with the catalog')
    .option('--deep', 'decode every row, not only the footers and checksums')
    .option('--json', 'print JSON')
    .addHelpText('after', `\nExit codes: 0 whole, 3 damage found, 1 it could not be checked.`);
  addConfigFlags(verify).action(async ({ json, deep }: Options) => {
    const bar = new ProgressBar(process.stderr);
    const report = await operate<VerifyReport>(configOf(verify), {
      command: 'verify',
      args: { deep: deep === true },
      onProgress: (progress) => {
        if (!json) bar.show(progress as VerifyProgress);
      },
    }).finally(() => bar.clear());
    if (json) print(report);
    else describe(report);
    if (report.findings.some(({ severity }) => severity === 'damage')) {
      process.exitCode = EXIT.damaged;
    }
  });
}

function describe({ files, rows, findings }: VerifyReport): void {
  for (const { severity, key, message } of findings) {
    process.stdout.write(`${severity}: ${key}: ${message}\n`);
  }
  process.stdout.write(`checked ${files} files with ${rows} rows: `);
  process.stdout.write(findings.length === 0 ? 'all whole\n' : `${findings.length} findings\n`);
}

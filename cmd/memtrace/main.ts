#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { VERSION } from '../../internal/engine/version.js';
import { registerBackup } from './backup.js';
import { registerCompact } from './compact.js';
import { addConfigFlags, configFlags, registerConfig } from './config.js';
import { registerExport } from './export.js';
import { registerImport } from './import.js';
import { registerKey } from './key.js';
import { registerMcp } from './mcp.js';
import { registerOrg } from './org.js';
import { EXIT, failWith, print } from './output.js';
import { registerQuarantine } from './quarantine.js';
import { registerRestore } from './restore.js';
import { registerVerify } from './verify.js';

/** The command line: parse, hand over, exit. Each command is a file beside this one. */
function program(): Command {
  const memtrace = new Command('memtrace')
    .description('A time-series memory server for AI agents.')
    .showHelpAfterError('(memtrace --help shows what there is)')
    .exitOverride();
  const serve = memtrace
    .command('serve', { isDefault: true })
    .description('start the server (the default command)');
  addConfigFlags(serve).action(async () => {
    const { serveUntilSignal } = await import('./serve.js');
    await serveUntilSignal(configFlags(serve));
  });
  registerOrg(memtrace);
  registerKey(memtrace);
  registerVerify(memtrace);
  registerQuarantine(memtrace);
  registerCompact(memtrace);
  registerBackup(memtrace);
  registerRestore(memtrace);
  registerExport(memtrace);
  registerImport(memtrace);
  registerConfig(memtrace);
  memtrace
    .command('version')
    .description('print the version')
    .option('--json', 'print JSON')
    .action(({ json }: { json?: boolean }) => {
      const { version: node, platform, arch } = process;
      if (json) print({ version: VERSION, node, platform, arch });
      else process.stdout.write(`memtrace ${VERSION} (node ${node}, ${platform} ${arch})\n`);
    });
  registerMcp(memtrace);
  return memtrace;
}

// `memtrace … | head` closes the pipe: what was asked for was seen.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  throw error;
});

try {
  await program().parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) failWith(error);
  // Help and version end with 0; what commander refuses is a mistake in the words of the command.
  else process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
}

import type { Command } from 'commander';
import { type Env, processEnv } from '../../internal/config/env.js';
import { type Loaded, loadConfig, type Setting } from '../../internal/config/load.js';
import type { Value } from '../../internal/config/option.js';
import { OPTIONS } from '../../internal/config/options.js';
import { ConfigError } from '../../internal/config/problem.js';
import { renderHelp } from '../../internal/config/render.js';
import { unsupported } from '../../internal/config/rules.js';

/** Adds `--config` and every flag of the option table, with the options in the help text. */
export function addConfigFlags(command: Command): Command {
  command.option('--config <file>', 'configuration file');
  for (const { name, row } of OPTIONS) {
    if (row.flag !== undefined) command.option(`--${row.flag} <value>`, `${name}: ${row.text}`);
  }
  return command.addHelpText('after', () => `\n${renderHelp()}`);
}

/** The flags that were given to a command prepared by addConfigFlags, as loadConfig wants them. */
export function configFlags(command: Command): Record<string, string> {
  const names = ['config', ...OPTIONS.flatMap(({ row }) => row.flag ?? [])];
  const options: Record<string, unknown> = command.optsWithGlobals();
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = options[name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())];
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );
}

/** What the command touches of its process. */
export interface ConfigIo {
  readonly env: Env;
  readonly cwd: string;
  out(text: string): void;
  err(text: string): void;
  exitCode(code: number): void;
}

const processIo = (): ConfigIo => ({
  env: processEnv(),
  cwd: process.cwd(),
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  exitCode: (code) => {
    process.exitCode = code;
  },
});

/**
 * `memtrace config check`: prints the effective configuration with the source of each value, exit
 * code 0; or everything that is wrong with it, exit code 1.
 */
export function registerConfig(program: Command, io: ConfigIo = processIo()): void {
  const config = program.command('config').description('inspect the configuration');
  const check = config
    .command('check')
    .description('check the configuration and print the effective values with their sources')
    .option('--json', 'print JSON');
  addConfigFlags(check).action(() => {
    const json = check.opts()['json'] === true;
    try {
      report(loadConfig({ flags: configFlags(check), env: io.env, cwd: io.cwd }), json, io);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      complain(error, json, io);
    }
  });
}

function report(loaded: Loaded, json: boolean, io: ConfigIo): void {
  const { file, sources, warnings } = loaded;
  const refused = unsupported(loaded.config);
  if (json) {
    const options = sources.map(({ name, ...rest }) => ({ option: name, ...rest }));
    io.out(
      `${JSON.stringify({ ok: true, file, options, warnings, unsupported: refused }, null, 2)}\n`,
    );
    return;
  }
  io.out(`Configuration file: ${file ?? 'none'}\n${table(sources)}`);
  for (const warning of warnings) io.err(`warning: ${warning}\n`);
  for (const sentence of refused) io.err(`note: serve would not start: ${sentence}\n`);
}

function complain(error: ConfigError, json: boolean, io: ConfigIo): void {
  if (json) io.out(`${JSON.stringify({ ok: false, problems: error.problems }, null, 2)}\n`);
  else io.err(`${error.message}\n`);
  io.exitCode(1);
}

/** One line an option: name, value, where it came from. */
function table(sources: readonly Setting[]): string {
  const lines = sources.map(({ name, value, source, from }) => {
    return `${name.padEnd(30)} ${literal(value).padEnd(28)} ${from === '' ? source : from}`;
  });
  return `${lines.join('\n')}\n`;
}

function literal(value: Value): string {
  return JSON.stringify(value);
}

import { ConfigError } from '../../internal/config/problem.js';
import { Fault } from '../../internal/fault/fault.js';

/** Exit codes of every command. */
export const EXIT = {
  ok: 0,
  /** The command could not do its work; the message says why. */
  failed: 1,
  /** The words of the command were wrong. */
  usage: 2,
  /** What was checked or made is not whole: verify, backup, restore. */
  damaged: 3,
} as const;

/** One line of JSON for scripts. */
export function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Says why on standard error and sets the exit code; the process ends by itself. */
export function failWith(error: unknown): void {
  process.exitCode = error instanceof Fault && error.status === 400 ? EXIT.usage : EXIT.failed;
  if (error instanceof ConfigError) process.stderr.write(`${error.message}\n`);
  else process.stderr.write(`error: ${messageOf(error)}\n`);
  if (error instanceof Fault && error.details.hint !== undefined) {
    process.stderr.write(`hint: ${error.details.hint}\n`);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Rows under their headings, in columns as wide as their widest cell. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [headings, ...rows];
  const widths = headings.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join('  ')
      .trimEnd();
  return `${all.map(line).join('\n')}\n`;
}

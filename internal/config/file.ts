import { readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import toml from 'toml';

/** The text of a file, or null if there is none; throws if it is there and cannot be read. */
export type ReadFile = (path: string) => string | null;

/** Where the file is looked for when neither --config nor MEMTRACE_CONFIG names one. */
export const SEARCH_PATH = [
  './config/memtrace.toml',
  '/app/config/memtrace.toml',
  '/etc/memtrace/memtrace.toml',
] as const;

/** One `key = value` of a configuration file. */
export interface Entry {
  readonly section: string;
  readonly key: string;
  readonly value: unknown;
  /** Counted from 1; null if the file writes it in a way that only the parser understands. */
  readonly line: number | null;
}

export interface ConfigFile {
  readonly path: string;
  readonly entries: readonly Entry[];
}

/** A file that is named and missing, unreadable, or not TOML. */
export class ConfigFileError extends Error {
  override name = 'ConfigFileError';
  readonly path: string;

  constructor(path: string, message: string) {
    super(message);
    this.path = path;
  }
}

/** Reads a file of this machine. Only "not there" is null: a read error is never an empty file. */
export function readFileIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}

/**
 * The file that `named` names, or else the first of SEARCH_PATH that exists; null if none does.
 * @throws ConfigFileError
 */
export function readConfigFile(
  named: string | undefined,
  cwd: string,
  readFile: ReadFile,
): ConfigFile | null {
  for (const path of named === undefined ? SEARCH_PATH : [named]) {
    const text = read(path, cwd, readFile);
    if (text !== null) return { path, entries: parse(path, text) };
  }
  if (named === undefined) return null;
  throw new ConfigFileError(named, 'there is no such file');
}

function read(path: string, cwd: string, readFile: ReadFile): string | null {
  try {
    return readFile(isAbsolute(path) ? path : join(cwd, path));
  } catch (error) {
    throw new ConfigFileError(path, `cannot be read: ${String(error)}`);
  }
}

function parse(path: string, text: string): Entry[] {
  const source = text.replace(/^\uFEFF/, '');
  const lines = lineNumbers(source);
  const entries: Entry[] = [];
  for (const [section, table] of Object.entries(parseToml(path, source))) {
    for (const [key, value] of keysOf(table)) {
      const line = lines.get(key === '' ? section : `${section}.${key}`) ?? null;
      entries.push({ section, key, value, line });
    }
  }
  return entries;
}

/** A key outside of any section has no key of its own: its name stands in the section's place. */
function keysOf(table: unknown): [string, unknown][] {
  const isTable = typeof table === 'object' && table !== null && !Array.isArray(table);
  return isTable && !(table instanceof Date) ? Object.entries(table) : [['', table]];
}

function parseToml(path: string, source: string): Record<string, unknown> {
  try {
    return toml.parse(source) as Record<string, unknown>;
  } catch (error) {
    throw new ConfigFileError(path, `is not valid TOML: ${syntaxError(error)}`);
  }
}

/** The parser says where in two ways: of its grammar, and of its own checks. */
function syntaxError(error: unknown): string {
  const { message, line, column, location } = error as {
    message: string;
    line?: number;
    column?: number;
    location?: { start: { line: number; column: number } };
  };
  const at = location?.start ?? { line, column };
  return `line ${at.line}, column ${at.column}: ${message}`;
}

/** The line of each `section.key`, as far as it is written in the plain way. */
function lineNumbers(source: string): Map<string, number> {
  const lines = new Map<string, number>();
  let section = '';
  for (const [index, line] of source.split('\n').entries()) {
    const header = /^\s*\[\s*([\w-]+)\s*\]/.exec(line);
    if (header !== null) section = header[1] ?? '';
    const key = /^\s*([\w-]+(?:\s*\.\s*[\w-]+)*)\s*=/.exec(line)?.[1]?.replace(/\s/g, '');
    if (key === undefined) continue;
    lines.set(section === '' ? key : `${section}.${key}`, index + 1);
  }
  return lines;
}

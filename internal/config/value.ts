import type { Row, Value } from './option.js';
import { formatBytes, formatDuration, parseBytes, parseDuration } from './units.js';

/** A value that fits its row, or what would be allowed instead. */
export type Parsed = { readonly value: Value } | { readonly allowed: string };

/**
 * Reads what a file, the environment or a flag gave for an option.
 * @param raw text, or what TOML made of it
 */
export function parseValue(row: Row, raw: unknown): Parsed {
  if (row.kind === 'list') return parseList(row, raw);
  if (!['string', 'number', 'boolean'].includes(typeof raw)) return { allowed: allowed(row) };
  const written = String(raw).trim();
  const value = scalar(row, written);
  return value === null || !fits(row, value) ? { allowed: allowed(row) } : { value };
}

function scalar(row: Row, written: string): Value | null {
  switch (row.kind) {
    case 'int':
      return /^-?\d{1,15}$/.test(written) ? Number(written) : null;
    case 'bytes':
      return written === '' ? 0 : parseBytes(written);
    case 'duration':
      return parseDuration(written);
    case 'bool':
      return BOOLEANS.get(written.toLowerCase()) ?? null;
    case 'choice':
      return row.aliases?.[written.toLowerCase()] ?? written.toLowerCase();
    default:
      return written;
  }
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['true', '1', 'yes', 'on'].map((word) => [word, true] as const),
  ...['false', '0', 'no', 'off'].map((word) => [word, false] as const),
]);

function parseList(row: Row, raw: unknown): Parsed {
  const parts = typeof raw === 'string' ? raw.split(',') : raw;
  if (!Array.isArray(parts) || !parts.every((part) => typeof part === 'string')) {
    return { allowed: allowed(row) };
  }
  const items = parts.map((part: string) => part.trim()).filter((part) => part !== '');
  const good = items.every((item) => row.pattern?.test(item) ?? true);
  return good ? { value: items } : { allowed: allowed(row) };
}

function fits(row: Row, value: Value): boolean {
  if (typeof value === 'number') {
    if (value === 0 && row.zero !== undefined) return true;
    return value >= bound(row, row.min, 0) && value <= bound(row, row.max, Number.MAX_SAFE_INTEGER);
  }
  if (row.choices !== undefined) return row.choices.includes(String(value));
  if (typeof value !== 'string') return true;
  if (value === '') return row.required !== true;
  return !/[\0\r\n]/.test(value) && (row.pattern?.test(value) ?? true);
}

function bound(row: Row, limit: number | string | undefined, otherwise: number): number {
  if (typeof limit !== 'string') return limit ?? otherwise;
  return (row.kind === 'duration' ? parseDuration(limit) : parseBytes(limit)) ?? otherwise;
}

/** What an option takes, to follow "must be": `a whole number from 0 to 65535`. */
export function allowed(row: Row): string {
  const range = rangeOf(row);
  switch (row.kind) {
    case 'int':
      return `a whole number${range}`;
    case 'bytes':
      return `a size like "64MiB" (B, KiB, MiB, GiB, TiB, KB, MB, GB, TB)${range}`;
    case 'duration':
      return `a duration like "30s" or "1h30m" (ms, s, m, h, d, w)${range}`;
    case 'bool':
      return 'true or false';
    case 'choice':
      return `one of ${row.choices?.join(', ')}`;
    case 'list':
      return `a list of ${row.shape ?? 'texts'}`;
    default:
      return row.shape ?? (row.required === true ? 'a text of at least one character' : 'a text');
  }
}

/** ` from 1 to 256`, or nothing. */
export function rangeOf(row: Row): string {
  if (row.min === undefined && row.max === undefined) return '';
  const zero = row.zero !== undefined && row.min !== 0 ? ', or 0' : '';
  return ` from ${row.min ?? 0} to ${row.max ?? 'any'}${zero}`;
}

/** A value as an operator would write it: bytes and durations with their units. */
export function written(row: Row, value: Value): string | number | boolean | readonly string[] {
  if (row.kind === 'bytes') return formatBytes(Number(value));
  return row.kind === 'duration' ? formatDuration(Number(value)) : value;
}

/** `value` for people to see: never a secret, never the password of a URL, one line. */
export function shown(row: Row, value: unknown): string {
  if (row.secret === true) return value === '' ? '""' : '***';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return JSON.stringify(hidePassword(text ?? 'nothing')).slice(1, -1);
}

/** `redis://user:password@host` → `redis://user:***@host`; a password may hold an `@` itself. */
function hidePassword(text: string): string {
  return text.replace(/(:\/\/[^\s/:@]*):\S*@/g, '$1:***@');
}

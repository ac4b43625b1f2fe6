import { invalid } from '../fault/fault.js';

/** Strings of ES2024, which every supported Node has and the compiler's library does not. */
interface WellFormed {
  isWellFormed(): boolean;
}

/** Whether a text can be stored and come back as sent: no NUL, no surrogate without its partner. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && (text as unknown as WellFormed).isWellFormed();
}

/** Why a text that is not storable is refused; goes on after a field's name. */
export const STORABLE_MUST = 'must not contain NUL characters or unpaired surrogates';

/** Whether `text` has at most `max` characters, counted as code points. */
export function hasAtMost(text: string, max: number): boolean {
  if (text.length <= max) return true;
  return text.length <= 2 * max && Array.from(text).length <= max;
}

/** Whether `text` takes at most `bytes` of UTF-8; counts only where the worst case does not fit. */
export function fitsUtf8(text: string, bytes: number): boolean {
  if (text.length * 3 <= bytes) return true;
  return text.length <= bytes && Buffer.byteLength(text) <= bytes;
}

/** `a.b` for a member of an object at a path; '' is the body itself. */
export function memberPath(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

/** A JSON object, or a fault that names `path` (the body if ''). */
export function asObject(value: unknown, path: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  const field = path === '' ? 'body' : path;
  throw invalid(field, `${path === '' ? 'The body' : path} must be a JSON object.`);
}

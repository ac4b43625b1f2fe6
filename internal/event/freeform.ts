import { invalid } from '../fault/fault.js';
import { METADATA_DEPTH_MAX } from './rules.js';
import { asObject, fitsUtf8, isStorable, STORABLE_MUST } from './text.js';

/** What is wrong with a value somewhere inside, and where: `.a[2].b` below the field. */
interface Flaw {
  at: string;
  must: string;
}

/** Keys longer than this are cut in a fault's path. */
const SHOWN_KEY = 64;

/**
 * The JSON text under which a client's free-form object (metadata, an agent's config) is stored; ''
 * for null, undefined and {}. Refuses whatever would not come back as it was sent.
 *
 * @param field its path in the client's notation, for the fault
 */
export function encodeFreeform(value: unknown, maxBytes: number, field: string): string {
  if (value === undefined || value === null) return '';
  const flaw = flawOf(asObject(value, field), 1);
  if (flaw !== null) {
    const path = field + flaw.at;
    throw invalid(path, `${path} ${flaw.must}.`);
  }
  const json = JSON.stringify(value);
  if (json === '{}') return '';
  if (!fitsUtf8(json, maxBytes)) {
    throw invalid(field, `${field} must be at most ${maxBytes} bytes as JSON.`);
  }
  return json;
}

/** Stops at the depth cap, so that the recursion is bounded whatever the nesting of the input. */
function flawOf(value: unknown, depth: number): Flaw | null {
  switch (typeof value) {
    case 'string':
      return isStorable(value) ? null : { at: '', must: STORABLE_MUST };
    case 'number':
      return flawOfNumber(value);
    case 'object':
      if (value === null) return null;
      if (depth > METADATA_DEPTH_MAX) {
        return { at: '', must: `must not be nested deeper than ${METADATA_DEPTH_MAX} levels` };
      }
      return Array.isArray(value) ? flawOfItems(value, depth) : flawOfMembers(value, depth);
    default:
      return null;
  }
}

/** Past 2^53 a parsed number may not be the one that was written. */
function flawOfNumber(value: number): Flaw | null {
  if (!Number.isFinite(value)) return { at: '', must: 'is too large a number' };
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return null;
  return { at: '', must: 'must be within ±(2^53 − 1); send larger integers as strings' };
}

function flawOfItems(items: readonly unknown[], depth: number): Flaw | null {
  for (let i = 0; i < items.length; i++) {
    const flaw = flawOf(items[i], depth + 1);
    if (flaw !== null) return { at: `[${i}]${flaw.at}`, must: flaw.must };
  }
  return null;
}

function flawOfMembers(members: object, depth: number): Flaw | null {
  for (const key in members) {
    if (key === '__proto__') return { at: '.__proto__', must: 'is not allowed as a key' };
    const flaw = isStorable(key)
      ? flawOf((members as Record<string, unknown>)[key], depth + 1)
      : { at: '', must: `${STORABLE_MUST} in its key` };
    if (flaw !== null) return { at: step(key) + flaw.at, must: flaw.must };
  }
  return null;
}

function step(key: string): string {
  const shown = key.length > SHOWN_KEY ? `${key.slice(0, SHOWN_KEY)}…` : key;
  return /^[\w-]+$/.test(shown) ? `.${shown}` : `[${JSON.stringify(shown)}]`;
}

import { Fault } from '../../fault/fault.js';
import { DatabaseError } from './database.js';
import type { WireError } from './wire.js';

/** For the way to the main thread; failures of SQLite become faults. */
export function encodeError(error: unknown): WireError {
  const known = asFault(error);
  if (known instanceof Fault) {
    const { cause, ...details } = known.details;
    const text = cause === undefined ? undefined : describe(cause);
    const fault = { code: known.code, details: { ...details, cause: text } };
    return { message: known.message, stack: known.stack, fault };
  }
  return { message: describe(known), stack: known instanceof Error ? known.stack : undefined };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Failures that are bugs of ours, whatever the machine does: a 500, not a "try again". */
const BUG_CODES = [
  'SQLITE_ERROR',
  'SQLITE_CONSTRAINT',
  'SQLITE_MISUSE',
  'SQLITE_RANGE',
  'SQLITE_MISMATCH',
  'SQLITE_TOOBIG',
  'SQLITE_SCHEMA',
];

/** SQLite's failures as faults; other errors as they are. */
export function asFault(error: unknown): unknown {
  if (!(error instanceof DatabaseError)) return error;
  if (BUG_CODES.some((code) => error.code.startsWith(code))) return error;
  if (error.code === 'SQLITE_FULL') {
    return new Fault('disk_full', 'the disk is full', { retryAfterS: 10, cause: error });
  }
  const message = error.busy ? 'the metadata store is busy' : 'the metadata store is unavailable';
  return new Fault('store_unavailable', message, {
    retryAfterS: error.busy ? 1 : 5,
    cause: error,
  });
}

import { type FaultCode, STATUS_OF } from './codes.js';

export interface FaultDetails {
  /** The path of the offending field as a client would write it: `memories[3].agent_id`. */
  field?: string;
  /** What the caller can do about it. */
  hint?: string;
  /** Seconds after which a retry may succeed; sent as Retry-After. */
  retryAfterS?: number;
  /** Further public members of the answer, e.g. the id of the first of two duplicates. */
  extra?: Record<string, unknown>;
  /** What really happened, for the log only. */
  cause?: unknown;
}

/**
 * An expected failure: a stable code, one public sentence, and an internal cause that never leaves
 * the server. The one place that turns faults into HTTP answers is api/errors.ts.
 */
export class Fault extends Error {
  override name = 'Fault';
  readonly code: FaultCode;
  readonly details: FaultDetails;

  constructor(code: FaultCode, message: string, details: FaultDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.details = details;
  }

  get status(): number {
    return STATUS_OF[this.code];
  }
}

/** A 400 that names the field. */
export function invalid(field: string, message: string, hint?: string): Fault {
  return new Fault('invalid_field', message, { field, hint });
}

/** `cause` chained as a sentence: "cannot open wal segment 42: EACCES". */
export function wrap(what: string, cause: unknown): Error {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new Error(`${what}: ${why}`, { cause });
}

import { type FaultCode, STATUS_OF } from '../../fault/codes.js';
import { Fault, type FaultDetails } from '../../fault/fault.js';
import type { SlowStatement } from './database.js';

/** What the main thread posts: calls of one tick, or the wish to end after those before it. */
export type Request = { calls: readonly CallMessage[] } | { close: true };
export type CallMessage = readonly [id: number, noun: string, verb: string, args: unknown[]];

/** What the worker posts. `opened` comes first, with an error if the database did not open. */
export type Response =
  | { opened: WireError | null }
  | { replies: readonly Reply[] }
  | { slow: SlowStatement }
  | { closed: WireError | null };
export type Reply = readonly [id: number, value: unknown, error?: WireError];

/** An error as plain data: structured cloning keeps neither the class nor our own members. */
export interface WireError {
  message: string;
  stack: string | undefined;
  fault?: { code: FaultCode; details: FaultDetails };
}

export function decodeError({ message, stack, fault }: WireError): Error {
  if (fault && fault.code in STATUS_OF) {
    const { cause, ...details } = fault.details;
    const chained = cause === undefined ? {} : { cause: new Error(String(cause)) };
    return new Fault(fault.code, message, { ...details, ...chained });
  }
  const error = new Error(message);
  if (stack !== undefined) error.stack = stack;
  return error;
}

import { backoffMs, pause } from './backoff.js';
import { bodyOf, type Entry } from './batch.js';
import { ConnectionError, MemtraceError } from './errors.js';
import { MEMORIES } from './memories.js';
import type { Transport } from './transport.js';

/** What becomes of entries that are delivered. */
export interface Outcome {
  acknowledged(entries: readonly Entry[], answer: string): void;
  /** They will not be sent again. */
  failed(entries: readonly Entry[], error: unknown): void;
}

/** An internal error may pass, or may be in what was sent: so often it is tried again. */
const INTERNAL_TRIES = 5;
const ITEM = /^memories\[(\d+)\]/;

/**
 * Sends entries, in order, until each is acknowledged or refused. While the server cannot be
 * reached or says so itself, it tries again, for as long as the signal allows: always with the same
 * bytes and key, so that the server stores them once.
 */
export async function deliver(
  transport: Transport,
  entries: readonly Entry[],
  outcome: Outcome,
  signal: AbortSignal,
): Promise<void> {
  let left: readonly Entry[] = entries;
  while (left.length > 0) {
    try {
      const answer = await sendUntilAnswered(transport, bodyOf(left), signal);
      outcome.acknowledged(left, answer);
      return;
    } catch (error) {
      const refused = indexOfRefused(error, left.length);
      if (refused !== undefined) {
        outcome.failed([left[refused]], error);
        left = left.toSpliced(refused, 1);
      } else if (isTooLarge(error) && left.length > 1) {
        const half = left.length >> 1;
        await deliver(transport, left.slice(0, half), outcome, signal);
        left = left.slice(half);
      } else {
        outcome.failed(left, error);
        return;
      }
    }
  }
}

async function sendUntilAnswered(
  transport: Transport,
  text: string,
  signal: AbortSignal,
): Promise<string> {
  const call = { method: 'POST', path: MEMORIES, text, repeat: 'keyed' } as const;
  const options = { signal, retries: 0, idempotencyKey: crypto.randomUUID() };
  let internal = 0;
  for (let failures = 1; ; failures += 1) {
    try {
      return (await transport.send(call, options)).text;
    } catch (error) {
      if (!(error instanceof MemtraceError) || !passes(error)) throw error;
      if (error.status === 500) internal += 1;
      if (internal >= INTERNAL_TRIES) throw error;
      await pause(backoffMs(failures, error.retryAfter), signal);
    }
  }
}

function passes(error: MemtraceError): boolean {
  return error instanceof ConnectionError || error.status === 429 || error.status >= 500;
}

/** The server refuses a batch whole and names the first bad item; the others are good so far. */
function indexOfRefused(error: unknown, count: number): number | undefined {
  if (!(error instanceof MemtraceError) || error.status < 400 || error.status >= 500) return;
  const match = ITEM.exec(error.field ?? '');
  const index = match === null ? count : Number(match[1]);
  return index < count ? index : undefined;
}

function isTooLarge(error: unknown): boolean {
  return error instanceof MemtraceError && error.status === 413;
}

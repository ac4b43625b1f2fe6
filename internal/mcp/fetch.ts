import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Send, type WireCall, WireError, type WireReply } from './wire.js';

/** Where the server is. */
export interface FetchOptions {
  /** Without a slash at its end. */
  url: string;
  key: string;
  version: string;
  /** For tests; default: the real ones. */
  fetch?: typeof fetch;
  sleep?: (ms: number, signal?: AbortSignal) => Promise<unknown>;
}

/** A restart takes a second or two; clients of MCP give a tool up after a minute. */
const RETRY_FOR_MS = 20_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
const ATTEMPT_MS = 30_000;
/** A question on the side must not hold up what it is asked for. */
const ONCE_MS = 3_000;

/**
 * Calls a server over HTTP. What a restart or a moment of overload refuses is sent again; writes
 * carry one Idempotency-Key through all tries, so that none is stored twice.
 */
export function fetchSend(options: FetchOptions): Send {
  const pause = options.sleep ?? ((ms, signal) => sleep(ms, undefined, { signal }));
  return async (call, signal) => {
    const request = requestOf(call, options);
    let left = call.once === true ? 0 : RETRY_FOR_MS;
    for (let backoff = FIRST_PAUSE_MS; ; backoff = Math.min(2 * backoff, LONGEST_PAUSE_MS)) {
      const outcome = await attempt(request, call, signal, options);
      const asked = outcome instanceof WireError ? 0 : outcome.retryAfterMs;
      // Jitter: clients that lost the same server must not all return in the same moment.
      const waitMs = Math.max(asked ?? 0, backoff * (0.5 + Math.random() / 2));
      if (asked === null || waitMs > left) {
        if (outcome instanceof WireError) throw outcome;
        return outcome;
      }
      left -= waitMs;
      await pause(waitMs, signal);
    }
  };
}

interface Outcome extends WireReply {
  /** Null: another try would get the same answer. */
  retryAfterMs: number | null;
}

interface Prepared {
  url: string;
  init: RequestInit;
}

function requestOf(call: WireCall, { url, key, version }: FetchOptions): Prepared {
  const path = call.path.replace(':id', encodeURIComponent(call.id ?? ''));
  const query = call.query === undefined ? '' : `?${new URLSearchParams(call.query)}`;
  const headers: Record<string, string> = {
    'x-api-key': key,
    'user-agent': `memtrace-mcp/${version}`,
  };
  const init: RequestInit = { method: call.method, headers, redirect: 'manual' };
  if (call.body !== undefined) {
    headers['content-type'] = 'application/json';
    init.body = JSON.stringify(call.body);
  }
  if (STORES.has(call.path) && call.method === 'POST') headers['idempotency-key'] = randomUUID();
  return { url: `${url}/api/v1${path}${query}`, init };
}

/** The routes that keep their answers by Idempotency-Key. */
const STORES = new Set(['/memories', '/agents', '/sessions']);

async function attempt(
  { url, init }: Prepared,
  call: WireCall,
  signal: AbortSignal | undefined,
  options: FetchOptions,
): Promise<Outcome | WireError> {
  const timeout = AbortSignal.timeout(call.once === true ? ONCE_MS : ATTEMPT_MS);
  const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
  try {
    const response = await (options.fetch ?? fetch)(url, { ...init, signal: either });
    const text = await response.text();
    if (response.status >= 300 && response.status < 400) throw redirected(response);
    return {
      status: response.status,
      text,
      erasureId: response.headers.get('x-erasure-id') ?? undefined,
      retryAfterMs: retryAfterOf(response),
    };
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof WireError) throw error;
    return unreachable(options.url, error);
  }
}

/** Milliseconds after which a refused call may be taken; null for an answer that stands. */
function retryAfterOf({ status, headers }: Response): number | null {
  if (status !== 429 && status !== 503) return null;
  return (Number(headers.get('retry-after')) || 1) * 1_000;
}

function unreachable(url: string, cause: unknown): WireError {
  const problem = {
    error: `the memtrace server at ${url} cannot be reached`,
    code: 'unreachable',
    hint: 'tell the user: it is started with "memtrace serve", and MEMTRACE_URL says where it is',
  };
  return new WireError(problem, cause);
}

/** Not followed: the key would go wherever the answer points to. */
function redirected({ headers }: Response): WireError {
  return new WireError({
    error: 'the server redirects',
    code: 'redirected',
    hint: `tell the user: MEMTRACE_URL should perhaps be at ${headers.get('location')}`,
  });
}

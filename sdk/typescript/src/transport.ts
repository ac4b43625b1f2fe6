import { backoffMs, pause } from './backoff.js';
import { Deadline } from './deadline.js';
import { ConnectionError, errorOf, MemtraceError } from './errors.js';

export interface ClientOptions {
  /** Default: the MEMTRACE_URL of the environment, or http://localhost:9100. */
  baseUrl?: string;
  /** Default: the MEMTRACE_API_KEY of the environment. */
  apiKey?: string;
  /** Of one try, in milliseconds, until the whole answer is there. Default 30,000. */
  timeout?: number;
  /** How often a failed request is sent again. Default 4. */
  retries?: number;
  /** Default: the global fetch. */
  fetch?: typeof fetch;
  /** Sent with every request. */
  headers?: Record<string, string>;
}

/** Options of one call. */
export interface RequestOptions {
  signal?: AbortSignal;
  /** As in the client's options. */
  timeout?: number;
  retries?: number;
  headers?: Record<string, string>;
  /**
   * Of a POST to memories, agents or sessions: 1 to 128 visible ASCII characters. Default: a new
   * one for each call, kept over its retries, so that a retry never stores twice.
   */
  idempotencyKey?: string;
}

export type QueryValue = string | number | boolean | Date | readonly string[] | null | undefined;
export type Query = { readonly [name: string]: QueryValue };

/**
 * Whether a request may be sent again when it is not known what became of it. `keyed`: yes, as it
 * carries an Idempotency-Key. `once`: only if the server says that it refused it.
 */
export type Repeat = 'safe' | 'keyed' | 'once';

export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  path: string;
  query?: Query;
  /** Made JSON of, once: every try sends the same bytes. */
  body?: unknown;
  /** Or JSON already. */
  text?: string;
  repeat: Repeat;
}

/** A body that is sent as it is. */
export interface RawBody {
  contentType: string;
  body: NonNullable<RequestInit['body']>;
}

/** An answer with a status below 300, read to its end. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

/** Longer than this is not waited for: the error says when to come back. */
const RETRY_AFTER_MAX_MS = 60_000;
const REFUSED = new Set(['rate_limited', 'overloaded', 'not_ready', 'draining']);
const TRANSIENT = new Set([429, 502, 503, 504]);

/** Requests with retries. */
export class Transport {
  readonly baseUrl: string;
  readonly timeout: number;
  readonly retries: number;
  private readonly headers: Record<string, string>;
  private readonly fetch: typeof fetch;

  constructor(options: ClientOptions) {
    const baseUrl = options.baseUrl ?? variable('MEMTRACE_URL') ?? 'http://localhost:9100';
    const apiKey = options.apiKey ?? variable('MEMTRACE_API_KEY') ?? '';
    this.baseUrl = baseUrl.replace(/\/+$/, '');
    this.timeout = options.timeout ?? 30_000;
    this.retries = options.retries ?? 4;
    this.headers = { ...options.headers };
    if (apiKey !== '') this.headers['x-api-key'] = apiKey;
    // Looked up at each call, and called without a receiver, as browsers demand.
    this.fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  }

  /** The parsed body of an answer. */
  async json<T>(call: Call, options: RequestOptions = {}): Promise<T> {
    const answer = await this.send(call, options);
    try {
      return JSON.parse(answer.text) as T;
    } catch (cause) {
      const text = 'the answer is not JSON: is this the address of a memtrace server?';
      throw new MemtraceError(text, { status: answer.status, code: 'invalid_response', cause });
    }
  }

  /** An answer, after as many tries as it takes and as are allowed. */
  async send(call: Call, options: RequestOptions = {}): Promise<Answer> {
    const headers = this.headersOf(call, options);
    const body = call.text ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
    let lost = false;
    return this.persistently(call, options, async () => {
      const deadline = this.deadline(options);
      try {
        const response = await this.fetchOnce(call, { headers, body, signal: deadline.signal });
        const text = await response.text();
        // Gone, as was asked for by a try whose answer was lost.
        const gone = lost && call.method === 'DELETE' && response.status === 404;
        if (response.status >= 300 && !gone) throw errorOf(response, text);
        return { status: response.status, headers: response.headers, text };
      } catch (error) {
        if (error instanceof MemtraceError) throw error;
        lost = true;
        throw deadline.explain(error);
      } finally {
        deadline.clear();
      }
    });
  }

  /**
   * An answer whose body is still to be read; then its deadline is to be cleared or abandoned.
   * Each piece of the body has the whole timeout again if the reader winds the deadline up.
   */
  async open(
    call: Call,
    options: RequestOptions = {},
  ): Promise<{ response: Response; deadline: Deadline }> {
    const headers = this.headersOf(call, options);
    return this.persistently(call, options, async () => {
      const deadline = this.deadline(options);
      try {
        const response = await this.fetchOnce(call, { headers, signal: deadline.signal });
        if (response.status >= 300) throw errorOf(response, await response.text());
        return { response, deadline };
      } catch (error) {
        deadline.clear();
        throw error instanceof MemtraceError ? error : deadline.explain(error);
      }
    });
  }

  /** One try with a body that cannot be sent twice. */
  async upload<T>(
    call: Call,
    raw: RawBody,
    { options, deadline }: { options: RequestOptions; deadline: Deadline },
  ): Promise<T> {
    const headers = { ...this.headersOf(call, options), 'content-type': raw.contentType };
    const init = { headers, body: raw.body, signal: deadline.signal, duplex: 'half' };
    const response = await this.fetchOnce(call, init);
    const text = await response.text();
    if (response.status >= 300) throw errorOf(response, text);
    return JSON.parse(text) as T;
  }

  deadline(options: RequestOptions): Deadline {
    options.signal?.throwIfAborted();
    return new Deadline(options.timeout ?? this.timeout, options.signal);
  }

  private async persistently<T>(
    call: Call,
    options: RequestOptions,
    once: () => Promise<T>,
  ): Promise<T> {
    const retries = options.retries ?? this.retries;
    for (let failures = 1; ; failures += 1) {
      try {
        return await once();
      } catch (error) {
        if (failures > retries || !mayRepeat(error, call.repeat)) throw error;
        await pause(backoffMs(failures, error.retryAfter), options.signal);
      }
    }
  }

  private headersOf(call: Call, options: RequestOptions): Record<string, string> {
    const headers: Record<string, string> = { ...this.headers, ...options.headers };
    const hasBody = call.body !== undefined || call.text !== undefined;
    if (hasBody) headers['content-type'] = 'application/json';
    if (call.repeat === 'keyed') {
      headers['idempotency-key'] = options.idempotencyKey ?? crypto.randomUUID();
    }
    return headers;
  }

  private fetchOnce(call: Call, init: RequestInit): Promise<Response> {
    const url = `${this.baseUrl}${call.path}${queryText(call.query)}`;
    // A redirect would carry the key to wherever it points, and turn a POST into a GET.
    return this.fetch(url, { method: call.method, redirect: 'manual', ...init });
  }
}

/** Whether sending again can help and can do no harm. */
function mayRepeat(error: unknown, repeat: Repeat): error is MemtraceError {
  if (!(error instanceof MemtraceError)) return false;
  if ((error.retryAfter ?? 0) > RETRY_AFTER_MAX_MS) return false;
  if (repeat === 'once') return REFUSED.has(error.code);
  return error instanceof ConnectionError || TRANSIENT.has(error.status);
}

function queryText(query: Query | undefined): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined || value === null) continue;
    parameters.set(name, value instanceof Date ? value.toISOString() : String(value));
  }
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}

/** A variable of the environment, where there is one. */
function variable(name: string): string | undefined {
  const { process } = globalThis as { process?: { env?: Record<string, string | undefined> } };
  const value = process?.env?.[name];
  return value === '' ? undefined : value;
}

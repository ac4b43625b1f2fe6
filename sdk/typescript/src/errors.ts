import type { components } from './openapi.js';

/** What the client itself found wrong: no answer, none in time, or one that is not memtrace's. */
export type ClientCode = 'connection_failed' | 'timeout' | 'invalid_response' | 'cut_stream';

/** Stable: switch on these. Newer servers may know more. */
export type ErrorCode = components['schemas']['Error']['code'] | ClientCode | (string & {});

/** What is known about a failed request. */
export interface ErrorDetails {
  /** The HTTP status; 0 without an answer. */
  status?: number;
  code?: ErrorCode;
  requestId?: string;
  /** The field or parameter at fault, e.g. `memories[3].agent_id`. */
  field?: string;
  hint?: string;
  /** Milliseconds, from the Retry-After header. */
  retryAfter?: number;
  /** The whole body of the error. */
  body?: Readonly<Record<string, unknown>>;
  cause?: unknown;
}

/** Every error of this package, except the reason of a caller's own AbortSignal. */
export class MemtraceError extends Error {
  override readonly name: string = 'MemtraceError';
  readonly status: number;
  readonly code: ErrorCode;
  readonly requestId: string | undefined;
  readonly field: string | undefined;
  readonly hint: string | undefined;
  readonly retryAfter: number | undefined;
  readonly body: Readonly<Record<string, unknown>>;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.status = details.status ?? 0;
    this.code = details.code ?? 'invalid_response';
    this.requestId = details.requestId;
    this.field = details.field;
    this.hint = details.hint;
    this.retryAfter = details.retryAfter;
    this.body = details.body ?? {};
  }

  /** The name that the original client gave to `status`. */
  get statusCode(): number {
    return this.status;
  }
}

/** 400, 405, 413, 415, 422: the request is wrong; `field` says where. */
export class InvalidRequestError extends MemtraceError {
  override readonly name = 'InvalidRequestError';
}

/** 401: no API key, or one that is unknown, revoked or expired. */
export class AuthenticationError extends MemtraceError {
  override readonly name = 'AuthenticationError';
}

/** 403: the API key lacks the permission. */
export class PermissionDeniedError extends MemtraceError {
  override readonly name = 'PermissionDeniedError';
}

/** 404. */
export class NotFoundError extends MemtraceError {
  override readonly name = 'NotFoundError';
}

/** 409: a duplicate memory, a taken name, the last admin key. */
export class ConflictError extends MemtraceError {
  override readonly name = 'ConflictError';

  /** Of a duplicate memory: the id of the first one. */
  get existingId(): string | undefined {
    const { id } = this.body;
    return typeof id === 'string' ? id : undefined;
  }
}

/** 429. */
export class RateLimitError extends MemtraceError {
  override readonly name = 'RateLimitError';
}

/** 5xx: try again later; `code` says why. */
export class ServerError extends MemtraceError {
  override readonly name = 'ServerError';
}

/** There was no answer. Whether the request took effect is not known. */
export class ConnectionError extends MemtraceError {
  override readonly name: string = 'ConnectionError';
}

/** There was no answer in time. Whether the request took effect is not known. */
export class TimeoutError extends ConnectionError {
  override readonly name = 'TimeoutError';
}

/** The error of an answer with a status of 300 or more. */
export function errorOf(response: Response, text: string): MemtraceError {
  const body = parsed(text);
  const details: ErrorDetails = {
    status: response.status,
    code: stringOf(body['code']) ?? 'invalid_response',
    requestId: stringOf(body['request_id']) ?? response.headers.get('x-request-id') ?? undefined,
    field: stringOf(body['field']),
    hint: stringOf(body['hint']),
    retryAfter: retryAfterMs(response.headers.get('retry-after')),
    body,
  };
  const message = stringOf(body['error']) ?? `the server answered with status ${response.status}`;
  return new (classOf(response.status))(message, details);
}

function classOf(status: number): typeof MemtraceError {
  if (status === 401) return AuthenticationError;
  if (status === 403) return PermissionDeniedError;
  if (status === 404) return NotFoundError;
  if (status === 409) return ConflictError;
  if (status === 429) return RateLimitError;
  if (status >= 500) return ServerError;
  return status >= 400 ? InvalidRequestError : MemtraceError;
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function stringOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Retry-After is a number of seconds or a date (RFC 9110, 10.2.3). */
export function retryAfterMs(value: string | null, now: number = Date.now()): number | undefined {
  if (value === null || value.trim() === '') return undefined;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

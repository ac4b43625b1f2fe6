import type { Caller } from '../auth/caller.js';
import type { Host, Services } from '../engine/services.js';
import type { EventLimits } from '../event/rules.js';
import { Fault, invalid } from '../fault/fault.js';
import type { Permission } from '../metadata/metadata.js';
import {
  type BodySource,
  bodySource,
  declaredLength,
  parseJson,
  readBody,
  readSmallBody,
} from './body.js';
import type { HttpRequest, Reply } from './http.js';

/** One request on its way through a route of the API. */
export interface ApiRequest {
  http: HttpRequest;
  host: Host;
  services: Services;
  caller: Caller;
  requestId: string;
}

/** `public`: no key; `any`: every valid key. */
export type Policy = Permission | 'any' | 'public';

const JSON_HEADERS = 'application/json; charset=utf-8';

/** An answer of JSON text. */
export function jsonText(
  request: Pick<ApiRequest, 'requestId'>,
  text: string | Buffer,
  status = 200,
  more?: Record<string, string>,
): Reply {
  const headers: Record<string, string> = {
    'content-type': JSON_HEADERS,
    'x-request-id': request.requestId,
  };
  if (more !== undefined) Object.assign(headers, more);
  return { status, headers, body: text };
}

export function json(
  request: Pick<ApiRequest, 'requestId'>,
  value: unknown,
  status = 200,
  more?: Record<string, string>,
): Reply {
  return jsonText(request, JSON.stringify(value), status, more);
}

export function noContent(request: ApiRequest, more?: Record<string, string>): Reply {
  return { status: 204, headers: { 'x-request-id': request.requestId, ...more }, body: null };
}

export function sourceOf(request: ApiRequest): BodySource {
  return bodySource(request.http);
}

/** Query parameters as sent, each with all its values. */
export function queryOf(request: ApiRequest): Record<string, string[]> {
  return request.http.query();
}

/** Refuses every query parameter: a misspelled one must never change what is meant in silence. */
export function noQuery(request: ApiRequest): void {
  if (!request.http.url.includes('?')) return;
  const [name] = Object.keys(queryOf(request));
  if (name !== undefined) throw invalid(name, `${name} is not a parameter of this route.`);
}

/** The signal of a client that goes away before its answer. */
export function clientSignal(request: ApiRequest): AbortSignal {
  return request.http.signal();
}

/** The limits that decoding of a client's objects needs. */
export function eventLimits({ limits }: Host['config']): EventLimits {
  return { contentBytes: limits.contentBytes, metadataBytes: limits.metadataBytes };
}

export interface SentBody {
  bytes: Buffer;
  release(): void;
}

/**
 * The bytes of a body within the shared budget; `release` when its events are stored. Rejects with
 * `overloaded` before anything of it is read, with `body_too_large` beyond `max` bytes.
 */
export async function takeBody(
  request: ApiRequest,
  max = request.host.config.limits.bodyBytes,
): Promise<SentBody> {
  const { services, host, caller, http } = request;
  const source = sourceOf(request);
  const declared = declaredLength(source);
  const plain = source.headers('content-encoding') === undefined;
  // What a chunked or compressed body will take is not known: it counts as a middling one.
  const amount = declared !== null && plain ? declared : Math.min(max, 1024 * 1024);
  const ticket =
    services.bodies.tryTake(caller.orgId, amount) ??
    (await services.bodies.take(caller.orgId, amount).catch(() => null));
  if (ticket === null) throw bodiesFull();
  try {
    const incoming = http.node;
    const small = incoming !== undefined && plain && declared !== null && declared <= max;
    const limits = { maxBytes: max, timeoutMs: host.config.server.requestTimeoutMs };
    const bytes = await (small ? readSmallBody(incoming, limits) : readBody(source, limits));
    return { bytes, release: ticket.release };
  } catch (error) {
    ticket.release();
    throw error;
  }
}

/** The JSON object of a small body; an empty body and `null` are {} where `optional`. */
export async function objectBody(
  request: ApiRequest,
  optional = false,
): Promise<{ value: Record<string, unknown>; bytes: Buffer }> {
  const { bytes, release } = await takeBody(request);
  try {
    if (optional && bytes.length === 0) return { value: {}, bytes };
    const value = parseJson(bytes);
    if (optional && value === null) return { value: {}, bytes };
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw invalid('body', 'the body must be a JSON object.');
    }
    return { value: value as Record<string, unknown>, bytes };
  } finally {
    release();
  }
}

function bodiesFull(): Fault {
  return new Fault('overloaded', 'too many bytes are in flight', {
    hint: 'send again after the Retry-After seconds, in smaller batches',
    retryAfterS: 1,
  });
}

import type { IncomingMessage } from 'node:http';
import type { Context } from 'hono';
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

/** What a Node server hands to Hono beside the request; absent in tests without a port. */
export type Env = { Bindings: { incoming?: IncomingMessage } };

/** One request on its way through a route of the API. */
export interface ApiRequest {
  c: Context<Env>;
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
  text: string,
  status = 200,
  more?: Record<string, string>,
): Response {
  const headers = { 'content-type': JSON_HEADERS, 'x-request-id': request.requestId, ...more };
  return new Response(text, { status, headers });
}

export function json(
  request: Pick<ApiRequest, 'requestId'>,
  value: unknown,
  status = 200,
  more?: Record<string, string>,
): Response {
  return jsonText(request, JSON.stringify(value), status, more);
}

export function noContent(request: ApiRequest, more?: Record<string, string>): Response {
  return new Response(null, {
    status: 204,
    headers: { 'x-request-id': request.requestId, ...more },
  });
}

/** A header without building the Headers object of the request, which the hot path need not pay. */
export function headerOf(c: Context<Env>, name: string): string | undefined {
  const incoming = c.env?.incoming;
  if (incoming === undefined) return c.req.header(name);
  const value = incoming.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

export function sourceOf(request: ApiRequest): BodySource {
  return bodySource(request.c.req.raw, request.c.env?.incoming);
}

/** Query parameters as sent, each with all its values. */
export function queryOf(request: ApiRequest): Record<string, string[]> {
  return request.c.req.queries();
}

/** Refuses every query parameter: a misspelled one must never change what is meant in silence. */
export function noQuery(request: ApiRequest): void {
  const url = request.c.env?.incoming?.url;
  if (url !== undefined && !url.includes('?')) return;
  const [name] = Object.keys(queryOf(request));
  if (name !== undefined) throw invalid(name, `${name} is not a parameter of this route.`);
}

/** The signal of a client that goes away before its answer. */
export function clientSignal(request: ApiRequest): AbortSignal {
  return request.c.req.raw.signal;
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
 * `overloaded` before anything of it is read.
 */
export async function takeBody(request: ApiRequest): Promise<SentBody> {
  const { services, host, caller, c } = request;
  const max = host.config.limits.bodyBytes;
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
    const incoming = c.env?.incoming;
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

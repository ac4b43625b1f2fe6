import { require } from '../auth/caller.js';
import type { Host, Services } from '../engine/services.js';
import { Fault, invalid } from '../fault/fault.js';
import { errorReply } from './errors.js';
import type { HttpRequest, Reply } from './http.js';
import { type ApiRequest, objectBody, type Policy } from './request.js';

export type Handler = (request: ApiRequest) => Promise<Reply>;

export interface GuardedRoute {
  method: string;
  path: string;
  policy: Policy;
  handler: Handler;
}

const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/;

/**
 * What stands before every handler, in one place: the request id, the key, the permission, the rate
 * limit, and after it the metric and the translation of errors.
 */
export function guarded(host: Host, route: GuardedRoute) {
  const replyTo = async (http: HttpRequest): Promise<Reply> => {
    const start = host.clock.monoMs();
    const requestId = requestIdOf(http, host);
    let reply: Reply;
    try {
      reply = await answer(host, route, http, requestId);
    } catch (error) {
      reply = errorReply(error, requestId, host);
    }
    // Draining: the client opens its next connection to a server that stays.
    if (host.draining) reply.headers['connection'] = 'close';
    const seconds = (host.clock.monoMs() - start) / 1000;
    host.metrics.httpDone(route.path, route.method, reply.status, seconds);
    return reply;
  };
  return (http: HttpRequest): Promise<Reply> => {
    const { tracer } = host;
    if (tracer === null) return replyTo(http);
    return tracer.request(
      route,
      (name) => http.header(name),
      () => replyTo(http),
    );
  };
}

/** The caller's request id, or a new one. */
export function requestIdOf(http: HttpRequest, host: Host): string {
  const sent = http.header('x-request-id');
  if (sent !== undefined && REQUEST_ID.test(sent)) return sent;
  return host.ulids.next(Math.floor(host.clock.nowUs() / 1000));
}

async function answer(
  host: Host,
  route: GuardedRoute,
  http: HttpRequest,
  requestId: string,
): Promise<Reply> {
  const { services } = host;
  if (services === null) {
    throw new Fault('not_ready', 'the server is starting', {
      hint: 'it reads its log back; /ready tells when it is done',
      retryAfterS: 2,
    });
  }
  const found = services.auth.authenticate(secretOf(http));
  // Usually at once: an await that waits for nothing costs a turn of the loop on the hot path.
  const caller = found instanceof Promise ? await found : found;
  if (route.policy !== 'any' && route.policy !== 'public') require(caller, route.policy);
  const request: ApiRequest = { http, host, services, caller, requestId };
  const limits = services.limiter === null ? null : limited(services, caller.key.id);
  if (route.method === 'DELETE') await refuseBody(request);
  const reply = await route.handler(request);
  if (limits !== null) Object.assign(reply.headers, limits);
  return reply;
}

/** A filter in the body of a DELETE would be passed over, and the deletion widened. */
async function refuseBody(request: ApiRequest): Promise<void> {
  const length = request.http.header('content-length') ?? '0';
  if (length === '0' && request.http.header('transfer-encoding') === undefined) return;
  const { value } = await objectBody(request, true);
  const [name] = Object.keys(value);
  if (name === undefined) return;
  throw invalid(name, `${name} is in the body of a DELETE.`, 'send filters in the query string');
}

function secretOf(http: HttpRequest): string | undefined {
  const key = http.header('x-api-key');
  if (key !== undefined) return key;
  const [scheme, token] = (http.header('authorization') ?? '').split(' ', 2);
  return scheme.toLowerCase() === 'bearer' ? token : undefined;
}

/** The RateLimit headers of an allowed request. Rejects with `rate_limited`. */
function limited(services: Services, keyId: string): Record<string, string> {
  const verdict = services.limiter?.take(keyId);
  if (verdict === undefined) return {};
  if (!verdict.allowed) {
    throw new Fault('rate_limited', 'too many requests with this API key', {
      hint: `at most ${verdict.limit} at once; see Retry-After`,
      retryAfterS: Math.max(1, verdict.resetS),
    });
  }
  return {
    'ratelimit-limit': String(verdict.limit),
    'ratelimit-remaining': String(verdict.remaining),
    'ratelimit-reset': String(verdict.resetS),
  };
}

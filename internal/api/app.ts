import type { IncomingMessage, RequestListener } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { cors } from 'hono/cors';
import { known } from '../base/assert.js';
import type { Host } from '../engine/services.js';
import { Fault } from '../fault/fault.js';
import * as agents from './agents.js';
import { errorReply } from './errors.js';
import { guarded, type Handler, requestIdOf } from './guard.js';
import { BareRequest, type Env, fromHono, send, toResponse } from './http.js';
import * as keys from './keys.js';
import * as mcp from './mcp.js';
import * as memories from './memories.js';
import * as ofActors from './openapi/actors.js';
import * as ofAdmin from './openapi/admin.js';
import * as ofMemories from './openapi/memories.js';
import type { DescribedRoute, Operation } from './openapi/operation.js';
import * as operations from './operations.js';
import { Reference } from './reference.js';
import type { Policy } from './request.js';
import { refuseCrossSite } from './same-site.js';
import * as sessions from './sessions.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/**
 * One route: who may call it, what answers, and what clients are told of it. A route cannot be
 * added without a policy and a description. Null: a protocol of its own, described elsewhere.
 */
export type Route = readonly [Method, string, Policy, Handler, Operation | null];

/** The route table. */
export const ROUTES: readonly Route[] = [
  ['POST', '/api/v1/memories', 'write', memories.remember, ofMemories.rememberMemories],
  ['GET', '/api/v1/memories', 'read', memories.list, ofMemories.listMemories],
  ['DELETE', '/api/v1/memories', 'write', memories.forgetMatching, ofMemories.forgetMemories],
  ['GET', '/api/v1/memories/:id', 'read', memories.get, ofMemories.getMemory],
  ['DELETE', '/api/v1/memories/:id', 'write', memories.forgetOne, ofMemories.forgetMemory],
  ['POST', '/api/v1/search', 'read', memories.search, ofMemories.searchMemories],
  ['GET', '/api/v1/export', 'read', memories.exportAll, ofMemories.exportMemories],
  ['POST', '/api/v1/agents', 'write', agents.register, ofActors.registerAgent],
  ['GET', '/api/v1/agents', 'read', agents.list, ofActors.listAgents],
  ['GET', '/api/v1/agents/:id', 'read', agents.get, ofActors.getAgent],
  ['DELETE', '/api/v1/agents/:id', 'write', agents.remove, ofActors.removeAgent],
  [
    'GET',
    '/api/v1/agents/:id/memories',
    'read',
    memories.listOfAgent,
    ofMemories.listAgentMemories,
  ],
  ['GET', '/api/v1/agents/:id/stats', 'read', agents.stats, ofActors.getAgentStats],
  ['POST', '/api/v1/sessions', 'write', sessions.create, ofActors.createSession],
  ['GET', '/api/v1/sessions', 'read', sessions.list, ofActors.listSessions],
  ['GET', '/api/v1/sessions/:id', 'read', sessions.get, ofActors.getSession],
  ['PUT', '/api/v1/sessions/:id', 'write', sessions.update, ofActors.updateSession],
  ['DELETE', '/api/v1/sessions/:id', 'write', sessions.remove, ofActors.removeSession],
  [
    'GET',
    '/api/v1/sessions/:id/memories',
    'read',
    memories.listOfSession,
    ofMemories.listSessionMemories,
  ],
  ['POST', '/api/v1/sessions/:id/context', 'read', sessions.context, ofActors.getSessionContext],
  ['GET', '/api/v1/keys/self', 'any', keys.self, ofAdmin.getOwnKey],
  ['GET', '/api/v1/keys', 'admin', keys.list, ofAdmin.listKeys],
  ['POST', '/api/v1/keys', 'admin', keys.create, ofAdmin.createKey],
  ['DELETE', '/api/v1/keys/:id', 'admin', keys.revoke, ofAdmin.revokeKey],
  ['GET', '/api/v1/retention', 'read', keys.retention, ofAdmin.getRetention],
  ['PUT', '/api/v1/retention', 'admin', keys.setRetention, ofAdmin.setRetention],
  ['GET', '/api/v1/erasures/:id', 'read', keys.erasure, ofAdmin.getErasure],
  // Each tool needs the permission of the routes that it calls.
  ['POST', '/mcp', 'any', (request) => mcp.answer(request, ROUTES), null],
];

type OpenHandler = (
  c: Context<Env>,
  parts: { host: Host; reference: Reference },
) => Response | Promise<Response>;

/** A GET that needs no key. Null: a part of a page, which nobody calls for itself. */
type OpenRoute = readonly [string, OpenHandler, Operation | null];

export const OPEN_ROUTES: readonly OpenRoute[] = [
  ['/health', (c, { host }) => operations.health(c, host), ofAdmin.getHealth],
  ['/ready', (c, { host }) => operations.ready(c, host), ofAdmin.getReadiness],
  ['/metrics', (c, { host }) => operations.metrics(c, host), ofAdmin.getMetrics],
  ['/openapi.json', (c, { reference }) => reference.openApi(c), ofAdmin.getOpenApi],
  ['/docs', (_c, { reference }) => reference.page(), ofAdmin.getReference],
  ['/docs/redoc.js', (c, { reference }) => reference.asset(c), null],
];

/** All routes with an operation, in the order of the document. */
export function describedRoutes(): DescribedRoute[] {
  const open = OPEN_ROUTES.flatMap(([path, , operation]) =>
    operation === null ? [] : [{ method: 'GET', path, policy: 'public', operation }],
  );
  const keyed = ROUTES.flatMap(([method, path, policy, , operation]) =>
    operation === null ? [] : [{ method, path, policy, operation }],
  );
  return [...keyed, ...open];
}

/** Headers of answers that a web page may read. */
const EXPOSED = [
  'x-request-id',
  'x-erasure-id',
  'retry-after',
  'ratelimit-limit',
  'ratelimit-remaining',
  'ratelimit-reset',
];

/** How clients of MCP authenticate (RFC 6750, 3). */
const CHALLENGE = 'Bearer realm="memtrace"';

/** The HTTP interface. Answers from the first moment; its verbs once the host has services. */
export function createApp(host: Host): Hono<Env> {
  const app = new Hono<Env>();
  const origins = host.config.server.corsOrigins;
  if (origins.length > 0) {
    // In a list the middleware takes "*" for the name of an origin.
    const origin = origins.includes('*') ? '*' : [...origins];
    const allow = cors({ origin, exposeHeaders: EXPOSED });
    for (const path of ['/api/v1/*', '/mcp']) app.use(path, allow);
  }
  app.use('/mcp', async (c, next) => {
    refuseCrossSite(fromHono(c), host.config);
    await next();
    if (c.res.status === 401) c.res.headers.set('www-authenticate', CHALLENGE);
  });
  for (const [method, path, policy, handler] of ROUTES) {
    const answer = guarded(host, { method, path, policy, handler });
    app.on(method, path, async (c) => toResponse(await answer(fromHono(c))));
  }
  const parts = { host, reference: new Reference(describedRoutes, host.config) };
  for (const [path, handler] of OPEN_ROUTES) {
    app.get(path, async (c) => {
      const response = await handler(c, parts);
      response.headers.set('x-request-id', requestIdOf(fromHono(c), host));
      return response;
    });
  }
  for (const [path, allow] of allowedMethods()) {
    app.all(path, (c) => {
      const fault = new Fault('method_not_allowed', `this path takes ${allow}`, { hint: allow });
      const reply = errorReply(fault, requestIdOf(fromHono(c), host), host);
      reply.headers['allow'] = allow;
      return toResponse(reply);
    });
  }
  app.notFound((c) => {
    const fault = new Fault('not_found', 'there is no such route', {
      hint: 'the routes are in /openapi.json',
    });
    return toResponse(errorReply(fault, requestIdOf(fromHono(c), host), host));
  });
  app.onError((error, c) => toResponse(errorReply(error, requestIdOf(fromHono(c), host), host)));
  return app;
}

/**
 * The listener of a Node server: Hono for everything, but for a plain write of memories, which is
 * nearly all the traffic, the same guarded handler without Hono's wrapping.
 */
export function createListener(host: Host): RequestListener {
  const hono = getRequestListener(createApp(host).fetch);
  const bare = host.config.server.corsOrigins.length === 0;
  const route = known(
    ROUTES.find(([method, path]) => method === 'POST' && path === HOT_PATH),
    'the route of writes',
  );
  const [method, path, policy, handler] = route;
  const answer = guarded(host, { method, path, policy, handler });
  return (incoming, outgoing) => {
    if (!bare || !isPlainWrite(incoming, host.config.limits.bodyBytes)) {
      return hono(incoming, outgoing);
    }
    answer(new BareRequest(incoming)).then((reply) => send(reply, outgoing));
  };
}

const HOT_PATH = '/api/v1/memories';

/** A JSON body of a known length within the limit: nothing that needs a stream or a stop. */
function isPlainWrite({ method, url, headers }: IncomingMessage, maxBytes: number): boolean {
  if (method !== 'POST' || url !== HOT_PATH) return false;
  const length = Number(headers['content-length'] ?? Number.NaN);
  const type = headers['content-type'] ?? '';
  return (
    length <= maxBytes && !type.includes('ndjson') && headers['content-encoding'] === undefined
  );
}

/** The methods of each path, as the Allow header has them. */
function allowedMethods(): Map<string, string> {
  const allowed = new Map(OPEN_ROUTES.map(([path]) => [path, 'GET']));
  for (const [method, path] of ROUTES) {
    const before = allowed.get(path);
    allowed.set(path, before === undefined ? method : `${before}, ${method}`);
  }
  return allowed;
}

import { Hono } from 'hono';
import { cors } from 'hono/cors';
import type { Host } from '../engine/services.js';
import { Fault } from '../fault/fault.js';
import * as agents from './agents.js';
import { errorResponse } from './errors.js';
import { guarded, type Handler, requestIdOf } from './guard.js';
import * as keys from './keys.js';
import * as memories from './memories.js';
import * as operations from './operations.js';
import type { Env, Policy } from './request.js';
import * as sessions from './sessions.js';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

/** One route: who may call it, and what answers. A route cannot be added without a policy. */
export type Route = readonly [Method, string, Policy, Handler];

/** The route table. */
export const ROUTES: readonly Route[] = [
  ['POST', '/api/v1/memories', 'write', memories.remember],
  ['GET', '/api/v1/memories', 'read', memories.list],
  ['DELETE', '/api/v1/memories', 'write', memories.forgetMatching],
  ['GET', '/api/v1/memories/:id', 'read', memories.get],
  ['DELETE', '/api/v1/memories/:id', 'write', memories.forgetOne],
  ['POST', '/api/v1/search', 'read', memories.search],
  ['GET', '/api/v1/export', 'read', memories.exportAll],
  ['POST', '/api/v1/agents', 'write', agents.register],
  ['GET', '/api/v1/agents', 'read', agents.list],
  ['GET', '/api/v1/agents/:id', 'read', agents.get],
  ['DELETE', '/api/v1/agents/:id', 'write', agents.remove],
  ['GET', '/api/v1/agents/:id/memories', 'read', memories.listOfAgent],
  ['GET', '/api/v1/agents/:id/stats', 'read', agents.stats],
  ['POST', '/api/v1/sessions', 'write', sessions.create],
  ['GET', '/api/v1/sessions', 'read', sessions.list],
  ['GET', '/api/v1/sessions/:id', 'read', sessions.get],
  ['PUT', '/api/v1/sessions/:id', 'write', sessions.update],
  ['DELETE', '/api/v1/sessions/:id', 'write', sessions.remove],
  ['GET', '/api/v1/sessions/:id/memories', 'read', memories.listOfSession],
  ['POST', '/api/v1/sessions/:id/context', 'read', sessions.context],
  ['GET', '/api/v1/keys/self', 'any', keys.self],
  ['GET', '/api/v1/keys', 'admin', keys.list],
  ['POST', '/api/v1/keys', 'admin', keys.create],
  ['DELETE', '/api/v1/keys/:id', 'admin', keys.revoke],
  ['GET', '/api/v1/retention', 'read', keys.retention],
  ['PUT', '/api/v1/retention', 'admin', keys.setRetention],
  ['GET', '/api/v1/erasures/:id', 'read', keys.erasure],
];

/** The HTTP interface. Answers from the first moment; its verbs once the host has services. */
export function createApp(host: Host): Hono<Env> {
  const app = new Hono<Env>();
  const origins = host.config.server.corsOrigins;
  if (origins.length > 0) app.use('/api/v1/*', cors({ origin: [...origins] }));
  for (const [method, path, policy, handler] of ROUTES) {
    app.on(method, path, guarded(host, { method, path, policy, handler }));
  }
  app.get('/health', (c) => operations.health(c, host));
  app.get('/ready', (c) => operations.ready(c, host));
  app.get('/metrics', (c) => operations.metrics(c, host));
  for (const path of new Set(ROUTES.map(([, route]) => route))) {
    app.all(path, (c) => {
      const allow = methodsOf(path);
      const fault = new Fault('method_not_allowed', `this path takes ${allow}`, { hint: allow });
      const response = errorResponse(fault, requestIdOf(c, host), host);
      response.headers.set('allow', allow);
      return response;
    });
  }
  app.notFound((c) => {
    const fault = new Fault('not_found', 'there is no such route', {
      hint: 'the routes are in /openapi.json',
    });
    return errorResponse(fault, requestIdOf(c, host), host);
  });
  app.onError((error, c) => errorResponse(error, requestIdOf(c, host), host));
  return app;
}

function methodsOf(path: string): string {
  const methods = ROUTES.filter(([, route]) => route === path).map(([method]) => method);
  return methods.join(', ');
}

import { expect, test } from 'vitest';
import { loadConfig } from '../config/load.js';
import type { Host } from '../engine/services.js';
import { MemoryClient } from '../mcp/client.js';
import type { WireCall } from '../mcp/wire.js';
import { createApp, ROUTES } from './app.js';

function starting(env: Record<string, string> = {}) {
  return createApp({
    config: loadConfig({ env, cwd: '/' }).config,
    services: null,
    draining: false,
    clock: { monoMs: () => 0, nowUs: () => 0 },
    ulids: { next: () => 'id' },
    metrics: { httpDone: () => undefined, rejected: () => undefined },
    tracer: null,
    log: { debug: () => undefined },
  } as unknown as Host);
}

test('a server that starts says so', async () => {
  const headers = { host: 'localhost' };
  const response = await starting().request('/mcp', { method: 'POST', headers, body: '{}' });
  expect(response.status).toBe(503);
  expect(response.headers.get('retry-after')).toBe('2');
});

test.each([
  ['https://app.example', 'https://app.example', 'https://app.example'],
  ['https://app.example', 'https://other.example', null],
  ['*', 'https://other.example', '*'],
])('with cors_origins %s a page of %s is told %s', async (configured, origin, allowed) => {
  const app = starting({ MEMTRACE_SERVER_CORS_ORIGINS: configured });
  const headers = { host: 'localhost', origin };
  for (const path of ['/mcp', '/api/v1/memories']) {
    const response = await app.request(path, { method: 'OPTIONS', headers });
    expect(response.headers.get('access-control-allow-origin')).toBe(allowed);
  }
});

test('every call of the client has a route', async () => {
  const calls: WireCall[] = [];
  const client = new MemoryClient(async (call) => {
    calls.push(call);
    return { status: 200, text: '{}' };
  });
  await Promise.all([
    client.remember({}),
    client.recall({}),
    client.search({}),
    client.decide({}),
    client.createSession({}),
    client.context('s'),
    client.registerAgent({}),
    client.forget({ id: 'mem_1' }),
    client.forget({ session_id: 's' }),
    client.listAgents(),
    client.permissions(),
  ]);
  const routes = ROUTES.map(([method, path]) => `${method} ${path}`);
  for (const { method, path } of calls) expect(routes).toContain(`${method} /api/v1${path}`);
});

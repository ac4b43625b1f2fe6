import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../internal/api/app.js';
import { loadConfig } from '../../internal/config/load.js';
import type { Host, Services } from '../../internal/engine/services.js';
import { Contract, type Route } from '../support/contract.js';
import { startServer, type TestServer } from '../support/server.js';

/**
 * A tour over everything that the OpenAPI document promises: each operation with each of its
 * statuses, every answer judged by the document. What cannot be had from a healthy server comes
 * from the same app over services that fail.
 */
let server: TestServer;
let limited: TestServer;
let contract: Contract;
let reader = '';
let writer = '';

interface Sent {
  key?: string | null;
  json?: unknown;
  text?: string | Buffer;
  headers?: Record<string, string>;
  on?: TestServer;
}

interface Received {
  status: number;
  headers: Headers;
  text: string;
  body: Record<string, unknown>;
}

const BODY_BYTES = 20_000;

beforeAll(async () => {
  const small = {
    MEMTRACE_LIMITS_CONTENT_BYTES: '4096',
    MEMTRACE_LIMITS_METADATA_BYTES: '4096',
    MEMTRACE_LIMITS_BODY_BYTES: String(BODY_BYTES),
    MEMTRACE_LIMITS_BATCH_ITEMS: '5',
  };
  server = await startServer({ env: small });
  const rate = { MEMTRACE_LIMITS_REQUESTS_PER_SECOND: '1', MEMTRACE_LIMITS_BURST: '1' };
  limited = await startServer({ env: rate });
  contract = new Contract(await (await fetch(`${server.url}/openapi.json`)).json());
  reader = await newKey('reader', ['read']);
  writer = await newKey('writer', ['write']);
});

afterAll(async () => {
  await server?.stop();
  await limited?.stop();
});

async function newKey(name: string, permissions: string[]): Promise<string> {
  const { body } = await call('POST', '/api/v1/keys', 201, { json: { name, permissions } });
  return String(body['key']);
}

async function call(
  method: string,
  path: string,
  status: number,
  sent: Sent = {},
): Promise<Received> {
  const { key = server.key, on = server } = sent;
  const headers: Record<string, string> = { ...sent.headers };
  if (key !== null) headers['x-api-key'] = key;
  const body = sent.json === undefined ? sent.text : JSON.stringify(sent.json);
  if (sent.json !== undefined) headers['content-type'] ??= 'application/json';
  const response = await fetch(on.url + path, { method, headers, body });
  return judged({ method, path }, response, status);
}

async function judged(
  { method, path }: { method: string; path: string },
  response: Response,
  status: number,
): Promise<Received> {
  const { headers } = response;
  const text = await response.text();
  const answer = { method, path, status: response.status, headers, text };
  expect(contract.judge(answer)).toEqual([]);
  expect(`${method} ${path} ${response.status} ${text.slice(0, 200)}`).toContain(` ${status} `);
  const isJson = headers.get('content-type')?.startsWith('application/json');
  return { ...answer, body: isJson ? JSON.parse(text) : {} };
}

/** Paths with an id of nothing that exists. */
function concrete({ path }: Route): string {
  return path.replace('{id}', 'nothing_like_this');
}

const secured = () => contract.routes.filter(({ path }) => path.startsWith('/api/'));
const withBody = () => secured().filter(({ operation }) => operation.requestBody !== undefined);

describe('the judge', () => {
  const judge = (text: string, more: Partial<Parameters<Contract['judge']>[0]> = {}) => {
    const headers = new Headers({ 'content-type': 'application/json', 'x-request-id': 'r' });
    return contract.judge({ method: 'GET', path: '/health', status: 200, headers, text, ...more });
  };
  const health = { status: 'ok', service: 'memtrace', version: '1', uptime: '1s' };

  it('refuses what the document does not say', () => {
    expect(judge(JSON.stringify(health))).toEqual([]);
    expect(judge(JSON.stringify({ ...health, org: 'a' })).join()).toContain('additional');
    expect(judge(JSON.stringify({ ...health, uptime: 1 })).join()).toContain('must be string');
    expect(judge('', { status: 418 }).join()).toContain('not documented');
    expect(judge('{}', { path: '/healthy' }).join()).toContain('no such route');
    const plain = new Headers({ 'content-type': 'text/html' });
    const problems = judge('', { headers: plain }).join();
    expect(problems).toMatch(/x-request-id is missing[\s\S]*text\/html is not documented/);
  });
});

describe('memories', () => {
  const memory = {
    agent_id: 'crawler_1',
    session_id: 'tour',
    content: 'Found 3 product pages',
    metadata: { url: 'https://example.com', deep: { list: [1, 'ä', null] } },
    tags: ['crawl'],
    importance: 0.5,
    parent_id: 'mem_parent',
    ttl: '90d',
  };

  it('one, a batch with a duplicate, lines', async () => {
    const { body } = await call('POST', '/api/v1/memories', 201, { json: memory });
    await call('GET', `/api/v1/memories/${body['id']}`, 200);
    const again = await call('POST', '/api/v1/memories', 409, { json: memory });
    expect(again.body['id']).toBe(body['id']);
    const fresh = { agent_id: 'crawler_1', content: 'fresh', memory_type: 'decision' };
    const batch = { memories: [memory, fresh] };
    const stored = await call('POST', '/api/v1/memories', 201, { json: batch });
    expect(stored.body).toMatchObject({ count: 1, duplicates: 1, skipped: [{ index: 0 }] });
    const text = '{"agent_id":"crawler_1","content":"a line"}\n{"content":"no agent"}\nnonsense\n';
    const headers = { 'content-type': 'application/x-ndjson' };
    const lines = await call('POST', '/api/v1/memories', 200, { text, headers });
    expect(lines.body).toMatchObject({ accepted: 1, rejected_count: 2 });
  });

  it('a stream that breaks off says how far it came', async () => {
    const line = '{"agent_id":"crawler_1","content":"before the break"}\n';
    const text = gzipSync(Buffer.from(line.repeat(3))).subarray(0, -12);
    const headers = { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' };
    await call('POST', '/api/v1/memories', 400, { text, headers });
  });

  it('a repeated answer about a memory that is gone', async () => {
    const headers = { 'idempotency-key': 'tour-1' };
    const json = { agent_id: 'crawler_1', content: 'soon gone' };
    const { body } = await call('POST', '/api/v1/memories', 201, { json, headers });
    await call('DELETE', `/api/v1/memories/${body['id']}`, 204);
    const again = await call('POST', '/api/v1/memories', 201, { json, headers });
    expect(again.body).toMatchObject({ id: body['id'], deleted: true });
    const other = { ...json, content: 'other' };
    await call('POST', '/api/v1/memories', 422, { json: other, headers });
  });

  it('lists, searches and exports', async () => {
    for (const path of ['memories', 'agents/crawler_1/memories', 'sessions/tour/memories']) {
      await call('GET', `/api/v1/${path}`, 200);
      await call('GET', `/api/v1/${path}?limit=1&order=asc&tags=crawl&min_importance=0.5`, 200);
    }
    const page = await call('GET', '/api/v1/memories?limit=1', 200);
    const cursor = encodeURIComponent(String(page.body['next_cursor']));
    await call('GET', `/api/v1/memories?limit=1&cursor=${cursor}`, 200);
    await call('GET', `/api/v1/memories?limit=1&cursor=${cursor}&agent_id=x`, 400);
    const found = await call('POST', '/api/v1/search', 200, {
      json: { content_contains: 'PRODUCT' },
    });
    expect(found.body).toMatchObject({ count: 1 });
    await call('POST', '/api/v1/search', 200, { json: { limit: 1 } });
    const { text } = await call('GET', '/api/v1/export?agent_id=crawler_1', 200);
    expect(text).toMatch(/\{"end":true,"count":\d+\}\n$/);
  });

  it('erasures', async () => {
    const { body } = await call('DELETE', '/api/v1/memories?session_id=tour', 200);
    expect(body).toMatchObject({ deleted: 1 });
    await call('GET', `/api/v1/erasures/${body['erasure_id']}`, 200);
  });

  it('what is too much, or of another kind', async () => {
    const memories = Array.from({ length: 6 }, (_, n) => ({ agent_id: 'a', content: `${n}` }));
    await call('POST', '/api/v1/memories', 413, { json: { memories } });
    const headers = { 'content-type': 'text/plain' };
    await call('POST', '/api/v1/memories', 415, { text: '{}', headers });
  });
});

describe('agents and sessions', () => {
  it('agents', async () => {
    const json = { name: 'indexer', description: 'Indexes', config: { depth: 2 } };
    const headers = { 'idempotency-key': 'tour-2' };
    const { body } = await call('POST', '/api/v1/agents', 201, { json, headers });
    await call('POST', '/api/v1/agents', 201, { json, headers });
    await call('POST', '/api/v1/agents', 422, { json: { name: 'other' }, headers });
    await call('POST', '/api/v1/agents', 409, { json });
    await call('POST', '/api/v1/agents', 201, { json: { name: 'second' } });
    await call('POST', '/api/v1/memories', 201, { json: { agent_id: 'indexer', content: 'x' } });
    await call('GET', '/api/v1/agents?limit=1', 200);
    await call('GET', `/api/v1/agents/${body['id']}`, 200);
    await call('GET', '/api/v1/agents/indexer/stats', 200);
    await call('GET', '/api/v1/agents/never_seen/stats', 200);
    const removed = await call('DELETE', '/api/v1/agents/indexer?memories=true', 204);
    expect(removed.headers.get('x-erasure-id')).toMatch(/^era_/);
    await call('DELETE', '/api/v1/agents/second', 204);
  });

  it('sessions', async () => {
    const json = { agent_id: 'crawler_1', metadata: { task: 'catalogue' } };
    const headers = { 'idempotency-key': 'tour-3' };
    const { body } = await call('POST', '/api/v1/sessions', 201, { json, headers });
    await call('POST', '/api/v1/sessions', 422, { json: { agent_id: 'b' }, headers });
    await call('POST', '/api/v1/sessions', 201, { json: { agent_id: 'b' } });
    const path = `/api/v1/sessions/${body['id']}`;
    await call('GET', '/api/v1/sessions?limit=1&status=active', 200);
    await call('GET', path, 200);
    const patch = { status: 'closed', metadata: { task: null, result: 'ok' } };
    const closed = await call('PUT', path, 200, { json: patch });
    expect(closed.body).toMatchObject({ status: 'closed', metadata: { result: 'ok' } });
    const event = { agent_id: 'a', session_id: body['id'], content: 'seen', event_type: 'error' };
    await call('POST', '/api/v1/memories', 201, { json: event });
    const context = await call('POST', `${path}/context`, 200, { json: { max_tokens: 200 } });
    expect(context.body['context']).toContain('### Errors (1)');
    await call('POST', '/api/v1/sessions/unknown/context', 200);
    await call('DELETE', `${path}?memories=true`, 204);
  });
});

describe('keys, retention and operations', () => {
  it('keys', async () => {
    const expires_at = '2999-01-01T00:00:00Z';
    const json = { name: 'short', permissions: ['read'], expires_at };
    const { body } = await call('POST', '/api/v1/keys', 201, { json });
    await call('GET', '/api/v1/keys/self', 200, { key: String(body['key']) });
    await call('DELETE', `/api/v1/keys/${body['id']}`, 204);
    const list = await call('GET', '/api/v1/keys', 200);
    const keys = list.body['keys'] as { id: string; permissions: string[] }[];
    const last = keys.find(({ permissions }) => permissions.includes('admin'));
    await call('DELETE', `/api/v1/keys/${last?.id}`, 409);
  });

  it('retention', async () => {
    await call('GET', '/api/v1/retention', 200);
    await call('PUT', '/api/v1/retention', 200, { json: { days: 90 } });
    await call('PUT', '/api/v1/retention', 200, { json: { days: null } });
  });

  it('operations, without a key', async () => {
    const { body } = await call('GET', '/api/v1/keys/self', 200);
    const org = body['org'] as { id: string };
    for (const path of ['/health', '/ready', '/metrics', '/openapi.json', '/docs']) {
      const { text } = await call('GET', path, 200, { key: null });
      for (const secret of [server.dataDir, server.key, org.id]) expect(text).not.toContain(secret);
      const headers = { 'x-many': 'x'.repeat(20_000) };
      await call('GET', path, 431, { key: null, headers });
    }
  });

  it('the page of the reference loads its script from this server, and from nowhere else', async () => {
    const page = await fetch(`${server.url}/docs`);
    const html = await page.text();
    expect(html.match(/(?:src|spec-url)="[^"]*"/g)).toEqual([
      'spec-url="openapi.json"',
      'src="docs/redoc.js"',
    ]);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    const script = await fetch(`${server.url}/docs/redoc.js`);
    expect(script.headers.get('content-type')).toContain('text/javascript');
    expect((await script.text()).length).toBeGreaterThan(500_000);
  });
});

describe('errors of every operation', () => {
  it('400: a parameter that it does not know', async () => {
    for (const route of secured()) {
      const json = route.operation.requestBody === undefined ? undefined : {};
      const path = `${concrete(route)}?nonsense=1`;
      const { body } = await call(route.method, path, 400, { json });
      expect(body).toMatchObject({ code: 'invalid_field', field: 'nonsense' });
    }
  });

  it('400, 413, 415: bodies', async () => {
    for (const route of withBody()) {
      const send = (status: number, sent: Sent) =>
        call(route.method, concrete(route), status, sent);
      await send(400, { text: '{"a":', headers: { 'content-type': 'application/json' } });
      await send(400, { json: [] });
      await send(413, { json: { content: 'x'.repeat(BODY_BYTES) } });
      await send(415, { json: {}, headers: { 'content-encoding': 'br' } });
    }
  });

  it('401 and 403: keys', async () => {
    for (const route of secured()) {
      const json = route.operation.requestBody === undefined ? undefined : {};
      await call(route.method, concrete(route), 401, { json, key: null });
      await call(route.method, concrete(route), 401, { json, key: `mtk_${'x'.repeat(43)}` });
      const needed = route.operation['x-required-permission'];
      if (needed === 'any') continue;
      const key = needed === 'read' ? writer : reader;
      await call(route.method, concrete(route), 403, { json, key });
    }
  });

  it('404: what is not there', async () => {
    for (const route of secured()) {
      if (route.operation.responses['404'] === undefined) continue;
      const json = route.operation.requestBody === undefined ? undefined : {};
      await call(route.method, concrete(route), 404, { json });
    }
  });

  it('429: too many requests', async () => {
    const first = await call('GET', '/api/v1/keys/self', 200, { on: limited });
    expect(first.headers.get('ratelimit-remaining')).toBe('0');
    for (const route of secured()) {
      // The bucket gets a token a second: two requests at once, of which one is too many.
      const json = route.operation.requestBody === undefined ? undefined : [];
      const burst = [1, 2].map(() => statusOf(route, json));
      expect(await Promise.all(burst)).toContain(429);
    }
  });

  async function statusOf(route: Route, json: unknown): Promise<number> {
    const { method } = route;
    const path = concrete(route);
    const headers = { 'x-api-key': server.key, 'content-type': 'application/json' };
    const body = json === undefined ? undefined : JSON.stringify(json);
    const response = await fetch(limited.url + path, { method, headers, body });
    await judged({ method, path }, response, response.status);
    return response.status;
  }
});

describe('a server in trouble', () => {
  const broken = (services: Services | null): Host => {
    const quiet = () => undefined;
    return {
      config: loadConfig({ env: {}, cwd: '/' }).config,
      clock: { nowUs: () => 0, monoMs: () => 0 },
      ulids: { next: () => '01KAJDFQ81M6T2X0V5C9B7N3K4' },
      log: { error: quiet, warn: quiet, debug: quiet },
      metrics: { rejected: quiet, httpDone: quiet },
      services,
      tracer: null,
      draining: false,
      readiness: async () => ({ state: 'not ready', checks: { log: 'reading the log back' } }),
      uptimeMs: () => 0,
    } as unknown as Host;
  };

  it('503: before it is ready', async () => {
    const app = createApp(broken(null));
    for (const { method, path } of [...secured(), { method: 'GET', path: '/ready' }]) {
      const response = await app.request(path.replace('{id}', 'x'), { method });
      await judged({ method, path }, response, 503);
    }
  });

  it('500: a bug, of which the answer tells nothing', async () => {
    const services = {
      auth: {
        authenticate: () => {
          throw new Error('SELECT secret FROM /var/lib');
        },
      },
    };
    const app = createApp(broken(services as unknown as Services));
    for (const { method, path } of secured()) {
      const response = await app.request(path.replace('{id}', 'x'), { method });
      const { text } = await judged({ method, path }, response, 500);
      expect(text).not.toMatch(/SELECT|var/);
    }
  });
});

it('has seen every status of every operation', () => {
  expect(contract.documented().filter((one) => !contract.seen.has(one))).toEqual([]);
});

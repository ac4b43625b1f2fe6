import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startServer, type TestServer, tempDir } from '../support/server.js';

/**
 * The receiver stands in for a collector: it takes what the exporter sends, OTLP as JSON over HTTP.
 */
interface OtlpSpan {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  kind: number;
  status: { code?: number };
  attributes: { key: string; value: Record<string, unknown> }[];
}

const spans: OtlpSpan[] = [];
const resources: string[] = [];
let collector: Server;
let endpoint: string;
let server: TestServer;

beforeAll(async () => {
  collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      expect(request.url).toBe('/v1/traces');
      const sent = JSON.parse(Buffer.concat(chunks).toString()) as {
        resourceSpans: { resource: unknown; scopeSpans: { spans: OtlpSpan[] }[] }[];
      };
      for (const { resource, scopeSpans } of sent.resourceSpans) {
        resources.push(JSON.stringify(resource));
        for (const scope of scopeSpans) spans.push(...scope.spans);
      }
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await new Promise<void>((done) => collector.listen(0, '127.0.0.1', done));
  endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
  server = await startServer({ env: { MEMTRACE_TELEMETRY_OTLP_ENDPOINT: endpoint } });
});

afterAll(() => {
  collector.closeAllConnections();
  collector.close();
});

const CALLER = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
const SECRET = 'content-that-must-not-be-traced';

function call(method: string, path: string, body?: unknown, more = {}): Promise<Response> {
  return fetch(`${server.url}${path}`, {
    method,
    headers: { 'x-api-key': server.key, 'content-type': 'application/json', ...more },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}

function named(name: string): OtlpSpan[] {
  return spans.filter((span) => span.name === name);
}

function attributesOf({ attributes }: OtlpSpan): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

it('sends what requests did, below the span of their caller, and nothing of their content', async () => {
  const traceparent = `00-${CALLER.traceId}-${CALLER.spanId}-01`;
  const event = { agent_id: 'traced-agent', session_id: 'traced-session', content: SECRET };
  expect((await call('POST', '/api/v1/memories', event, { traceparent })).status).toBe(201);
  const context = '/api/v1/sessions/traced-session/context';
  expect((await call('POST', context, {}, { traceparent })).status).toBe(200);
  expect((await call('GET', '/api/v1/memories/mem_unknown')).status).toBe(404);
  // An end in order sends what waits, and flushes, which is a trace of its own.
  await server.stop();

  const [write] = named('POST /api/v1/memories');
  expect(write).toMatchObject({ traceId: CALLER.traceId, parentSpanId: CALLER.spanId, kind: 2 });
  expect(attributesOf(write)).toEqual({
    'http.request.method': 'POST',
    'http.route': '/api/v1/memories',
    'http.response.status_code': 201,
  });
  const [append] = named('wal.append');
  expect(append).toMatchObject({ traceId: CALLER.traceId, parentSpanId: write.spanId });
  const [context0] = named('POST /api/v1/sessions/:id/context');
  const read = named('store.read').find(({ parentSpanId }) => parentSpanId === context0.spanId);
  expect(attributesOf(read as OtlpSpan)).toMatchObject({ 'memtrace.query.kind': 'context' });
  const [unknown] = named('GET /api/v1/memories/:id');
  expect(unknown.traceId).not.toBe(CALLER.traceId);
  expect(unknown.parentSpanId ?? '').toBe('');
  const [flush] = named('store.flush');
  expect(flush.traceId).not.toBe(CALLER.traceId);
  expect(attributesOf(flush)).toEqual({ 'memtrace.rows': 1 });

  expect(resources[0]).toContain('"service.name"');
  const all = JSON.stringify(spans) + resources.join();
  for (const secret of [SECRET, 'traced-agent', 'traced-session', server.key, 'org_']) {
    expect(all).not.toContain(secret);
  }
});

it('serves, and ends in time, while nobody takes its spans', async () => {
  // A port where nothing listens any more.
  const gone = createServer();
  await new Promise<void>((done) => gone.listen(0, '127.0.0.1', done));
  const { port } = gone.address() as AddressInfo;
  await new Promise((done) => gone.close(done));
  server = await startServer({
    dataDir: tempDir('memtrace-traces-'),
    env: { MEMTRACE_TELEMETRY_OTLP_ENDPOINT: `http://127.0.0.1:${port}` },
  });
  for (let n = 0; n < 300; n += 1) {
    const event = { agent_id: 'a', content: `event ${n}` };
    expect((await call('POST', '/api/v1/memories', event)).status).toBe(201);
  }
  const start = performance.now();
  expect(await server.stop()).toEqual({ code: 0, signal: null });
  expect(performance.now() - start).toBeLessThan(30_000);
});

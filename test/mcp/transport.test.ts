import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../support/cli.js';
import { cleanEnv, PROGRAM, startServer, type TestServer, tempDir } from '../support/server.js';

/** What stands around the messages: headers and sizes over HTTP, the streams of stdio. */
let server: TestServer;
beforeAll(async () => {
  server = await startServer({ env: { MEMTRACE_LIMITS_REQUESTS_PER_SECOND: '1000' } });
});
afterAll(() => server.stop());

const LIST = { jsonrpc: '2.0', id: 1, method: 'tools/list' };

function post(body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.url}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': server.key, ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

describe('POST /mcp', () => {
  test('answers one message with JSON, without a session', async () => {
    const response = await post(LIST);
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toContain('application/json');
    expect(response.headers.get('mcp-session-id')).toBeNull();
    expect(response.headers.get('x-request-id')).not.toBeNull();
    expect(response.headers.get('ratelimit-limit')).toBe('2000');
    expect(await response.json()).toMatchObject({ id: 1, result: { tools: expect.any(Array) } });
  });

  test('accepts a notification without an answer', async () => {
    const response = await post({ jsonrpc: '2.0', method: 'notifications/initialized' });
    expect(response.status).toBe(202);
    expect(await response.text()).toBe('');
  });

  test('goes on with a session id of a server that is no more', async () => {
    const response = await post(LIST, { 'mcp-session-id': 'of-another-life' });
    expect(response.status).toBe(200);
  });

  test.each([
    ['no JSON', '{', {}, 400],
    ['no JSON-RPC', '{}', {}, 400],
    ['a batch', [LIST, LIST], {}, 400],
    ['a text', '{}', { 'content-type': 'text/plain' }, 415],
    ['only an event stream', LIST, { accept: 'text/event-stream' }, 406],
    ['an unknown protocol', LIST, { 'mcp-protocol-version': '1999-01-01' }, 400],
    ['a foreign page', LIST, { origin: 'https://evil.example' }, 403],
    ['too large a body', `{"x":"${'y'.repeat(1024 * 1024)}"}`, {}, 413],
    ['no key', LIST, { 'x-api-key': '' }, 401],
    ['a wrong key', LIST, { 'x-api-key': `mtk_${'x'.repeat(40)}` }, 401],
  ])('refuses %s', async (_, body, headers, status) => {
    const response = await post(body, headers);
    expect(response.status).toBe(status);
    const challenge = response.headers.get('www-authenticate');
    expect(challenge).toBe(status === 401 ? 'Bearer realm="memtrace"' : null);
  });

  test.each(['GET', 'DELETE', 'PUT'])('is the only method, not %s', async (method) => {
    const response = await fetch(`${server.url}/mcp`, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
  });

  test('lets pages of loopback in', async () => {
    expect((await post(LIST, { origin: 'http://localhost:6274' })).status).toBe(200);
  });

  test('the largest memory there may be passes', async () => {
    const args = { agent_id: 'a', content: '\u0001'.repeat(64 * 1024) };
    const params = { name: 'memtrace_remember', arguments: args };
    const response = await post({ jsonrpc: '2.0', id: 2, method: 'tools/call', params });
    const body = (await response.json()) as { result: { isError?: boolean } };
    expect(body.result.isError).toBeUndefined();
  });
});

describe('stdio', () => {
  const env = () => cleanEnv({ MEMTRACE_URL: server.url, MEMTRACE_API_KEY: server.key });

  test('a missing key is said on standard error', async () => {
    for (const program of [PROGRAM, MCP_PROGRAM]) {
      const { code, stdout, stderr } = await talk(program, cleanEnv(), '');
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain('MEMTRACE_API_KEY is required');
    }
    const badUrl = await cli(tempDir(), ['mcp', '--key', 'k', '--url', 'nowhere']);
    expect(badUrl).toMatchObject({ code: 1, stdout: '' });
  });

  test.each(['memtrace mcp', 'cmd/mcp'])('%s: only messages on standard output', async (which) => {
    const program = which === 'cmd/mcp' ? MCP_PROGRAM : PROGRAM;
    const remember = { name: 'memtrace_remember', arguments: { agent_id: 'a', content: which } };
    const lines = [
      { ...LIST, id: 0, method: 'ping' },
      'this is no JSON',
      { ...LIST, id: 1, method: 'tools/call', params: remember },
      { ...LIST, id: 2 },
    ].map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
    const { code, stdout } = await talk(program, env(), lines.join(''));
    expect(code).toBe(0);
    const answers = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(answers.map(({ id }) => id).sort()).toEqual([0, 1, 2]);
    expect(answers.every(({ jsonrpc, result }) => jsonrpc === '2.0' && result)).toBe(true);
  });
});

const MCP_PROGRAM = fileURLToPath(new URL('../mcp/main.js', `file://${PROGRAM}`));

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Sends the input, closes the stream, and waits for the end. */
function talk(program: string, env: Record<string, string>, input: string): Promise<Ended> {
  const args = program === PROGRAM ? [program, 'mcp'] : [program];
  const child = spawn(process.execPath, args, { env, stdio: 'pipe' });
  const ended: Ended = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    ended.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    ended.stderr += text;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...ended, code }));
  });
}

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { type Api, api, type Json } from '../support/api.js';
import { cli, createOrg } from '../support/cli.js';
import { startServer, type TestServer, tempDir } from '../support/server.js';

/** What operators do: starting, stopping, keys, organizations, limits. */
const running: TestServer[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop('SIGKILL')));
});

async function start(options: Parameters<typeof startServer>[0] = {}): Promise<TestServer> {
  const server = await startServer(options);
  running.push(server);
  return server;
}

const write = (client: Api, content: string) =>
  client.post('/memories', { agent_id: 'a', content });

test('the first start makes an admin key that is in no log', async () => {
  const dataDir = tempDir();
  const server = await start({ dataDir, env: { MEMTRACE_AUTH_BOOTSTRAP_KEY: '' } });
  const path = join(dataDir, 'admin.key');
  const secret = readFileSync(path, 'utf8').trim();
  expect(secret).toMatch(/^mtk_[A-Za-z0-9_-]{43}$/);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(server.logs.join('\n')).not.toContain(secret);
  const self = await api(server, secret).get('/keys/self');
  expect(self.body).toMatchObject({ permissions: ['admin'], org: { name: 'default' } });
  await server.stop();
  const again = await start({ dataDir, env: { MEMTRACE_AUTH_BOOTSTRAP_KEY: '' } });
  expect(readFileSync(path, 'utf8').trim()).toBe(secret);
  expect((await api(again, secret).get('/keys/self')).status).toBe(200);
});

test('the same bootstrap key is a no-op, another one replaces it', async () => {
  const dataDir = tempDir();
  const first = await start({ dataDir });
  const id = (await api(first).get('/keys/self')).body['id'];
  await first.stop();
  const same = await start({ dataDir });
  expect((await api(same).get('/keys/self')).body['id']).toBe(id);
  await same.stop();
  const other = `mtk_${'o'.repeat(40)}`;
  const replaced = await start({ dataDir, env: { MEMTRACE_AUTH_BOOTSTRAP_KEY: other } });
  expect((await api(replaced).get('/keys/self')).status).toBe(200);
  expect((await api(replaced, first.key).get('/keys/self')).status).toBe(401);
  expect(existsSync(join(dataDir, 'admin.key'))).toBe(false);
});

test('SIGTERM flushes and ends with 0; nothing acknowledged under load is lost', async () => {
  const dataDir = tempDir();
  const server = await start({ dataDir });
  const client = api(server);
  const acked: string[] = [];
  let stop = false;
  const writers = Array.from({ length: 8 }, async (_, w) => {
    for (let i = 0; !stop; i++) {
      const content = `w${w} ${i}`;
      const answer = await write(client, content).catch(() => null);
      if (answer?.status === 201) acked.push(content);
      else if (answer === null) return;
    }
  });
  await sleep(400);
  const exit = await server.stop();
  stop = true;
  await Promise.all(writers);
  expect(exit).toEqual({ code: 0, signal: null });
  expect(server.logs.join('\n')).toContain('stopped');
  const again = await start({ dataDir });
  for (const content of [acked[0], acked[acked.length - 1]]) {
    const found = await api(again).post('/search', { content_contains: content });
    expect(found.body['count']).toBeGreaterThan(0);
  }
  const { body } = await api(again).get('/agents/a/stats');
  expect(body['memory_count']).toBeGreaterThanOrEqual(acked.length);
});

test('a second signal ends the server at once, and nothing is lost', async () => {
  const dataDir = tempDir();
  const server = await start({ dataDir });
  expect((await write(api(server), 'kept')).status).toBe(201);
  process.kill(server.pid, 'SIGTERM');
  process.kill(server.pid, 'SIGTERM');
  await server.exited;
  const again = await start({ dataDir });
  expect((await api(again).get('/memories')).body['count']).toBe(1);
});

test('a second server on the same data directory says who holds it', async () => {
  const dataDir = tempDir();
  const server = await start({ dataDir });
  const second = await cli(dataDir, ['serve', '--port', '0']);
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`process ${server.pid}`);
  await server.kill9();
  const third = await start({ dataDir });
  expect((await api(third).get('/ready')).status).toBe(200);
});

test('organizations and keys from the command line work on a running server', async () => {
  const dataDir = tempDir();
  const server = await start({ dataDir });
  const acme = await createOrg(dataDir, 'acme');
  expect((await write(api(server, acme.key), 'of acme')).status).toBe(201);
  expect((await api(server).get('/memories')).body['count']).toBe(0);
  const taken = await cli(dataDir, ['org', 'create', 'acme']);
  expect(taken.code).toBe(1);
  expect(taken.stderr).toContain('exists already');
  const unsure = await cli(dataDir, ['org', 'delete', 'acme']);
  expect(unsure.code).toBe(2);
  expect(unsure.stderr).toContain('--yes');
  const erased = await cli(dataDir, ['org', 'delete', 'acme', '--yes', '--json']);
  expect(JSON.parse(erased.stdout)).toMatchObject({ id: acme.id, deleted: 1, erased: true });
  expect((await api(server, acme.key).get('/memories')).status).toBe(401);
});

test('revoking a key on the command line works within five seconds', async () => {
  const dataDir = tempDir();
  const server = await start({ dataDir });
  const acme = await createOrg(dataDir, 'acme');
  const client = api(server, acme.key);
  const { body } = await client.post('/keys', { name: 'second', permissions: ['read'] });
  const reader = api(server, String(body['key']));
  expect((await reader.get('/memories')).status).toBe(200);
  const revoked = await cli(dataDir, ['key', 'revoke', String(body['id']), '--org', 'acme']);
  expect(revoked.code).toBe(0);
  let status = 200;
  for (let i = 0; i < 50 && status === 200; i++) {
    await sleep(100);
    status = (await reader.get('/memories')).status;
  }
  expect(status).toBe(401);
  const last = (await client.get('/keys/self')).body['id'];
  const refused = await client.del(`/keys/${last}`);
  expect(refused).toMatchObject({ status: 409, body: { code: 'last_admin_key' } });
});

test('verify and org delete work without a server', async () => {
  const dataDir = tempDir();
  const server = await start({ dataDir });
  const acme = await createOrg(dataDir, 'acme');
  for (let i = 0; i < 5; i++) await write(api(server, acme.key), `n ${i}`);
  await server.stop();
  const whole = await cli(dataDir, ['verify', '--deep', '--json']);
  expect({ code: whole.code, ...JSON.parse(whole.stdout) }).toMatchObject({
    code: 0,
    rows: 5,
    findings: [],
  });
  const erased = await cli(dataDir, ['org', 'delete', 'acme', '--yes', '--json']);
  expect(JSON.parse(erased.stdout)).toMatchObject({ deleted: 5 });
});

test('a rate limit says how long to wait', async () => {
  const env = { MEMTRACE_LIMITS_REQUESTS_PER_SECOND: '1', MEMTRACE_LIMITS_BURST: '3' };
  const client = api(await start({ env }));
  const answers = await Promise.all(Array.from({ length: 6 }, () => client.get('/keys/self')));
  const limited = answers.filter(({ status }) => status === 429);
  expect(limited).toHaveLength(3);
  expect(limited[0].headers.get('retry-after')).toMatch(/^[1-9]/);
  const allowed = answers.filter(({ status }) => status === 200);
  expect(allowed[0].headers.get('ratelimit-limit')).toBe('3');
});

test('options that this version cannot honour keep the server from starting', async () => {
  const dataDir = tempDir();
  const env = { MEMTRACE_ARC_URL: 'http://arc:8000' };
  const refused = await cli(dataDir, ['serve'], env);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('arc.url');
  expect((await cli(dataDir, ['config', 'check'], env)).code).toBe(0);
});

test('without keys only where it was asked for, and only on loopback', async () => {
  const server = await start({ env: { MEMTRACE_AUTH_ENABLED: 'false' } });
  const open = await fetch(`${server.url}/api/v1/memories`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ agent_id: 'a', content: 'no key' }),
  });
  expect(open.status).toBe(201);
  const env = { MEMTRACE_AUTH_ENABLED: 'false', MEMTRACE_SERVER_HOST: '0.0.0.0' };
  const refused = await cli(tempDir(), ['serve'], env);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('auth.enabled');
});

test('the log is one line of JSON an entry, and holds no content and no key', async () => {
  const server = await start({ env: { MEMTRACE_LOG_LEVEL: 'debug' } });
  const client = api(server);
  await write(client, 'private thought');
  await client.post('/memories', { agent_id: 'a', content: 'x', importance: 'private\nvalue' });
  await client.get('/memories', { headers: { 'x-request-id': 'a\tb' } });
  await server.stop();
  for (const line of server.logs) expect(() => JSON.parse(line) as Json).not.toThrow();
  const text = server.logs.join('\n');
  expect(text).not.toContain('private thought');
  expect(text).not.toContain(server.key);
});

test('every command has help, and wrong words end with 2', () => {
  const program = new URL('../../dist/cmd/memtrace/main.js', import.meta.url).pathname;
  const run = (...args: string[]) =>
    spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
  for (const words of [[], ['org'], ['org', 'create'], ['key', 'create'], ['verify'], ['serve']]) {
    const help = run(...words, '--help');
    expect(help.status).toBe(0);
    expect(help.stdout).toContain('Usage: memtrace');
  }
  expect(run('nonsense').status).toBe(2);
  expect(run('org', 'create').status).toBe(2);
  expect(run('key', 'create', '--org', 'x').status).toBe(2);
  expect(run('version').stdout).toMatch(/^memtrace \d+\.\d+\.\d+/);
});

import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cleanEnv, freePort, PROGRAM, TEST_KEY, tempDir } from '../support/server.js';
import { answers, type Running, start } from './processes.js';
import { missing, ROOT, run, tool } from './tools.js';

const nginx = tool('nginx', '/usr/sbin/nginx');
const openssl = tool('openssl');
const blackbox = tool('prometheus-blackbox-exporter', 'blackbox_exporter');

/** Self-signed certificates; set before the first connection. */
process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';

describe.skipIf(missing('nginx and openssl', nginx, openssl))('nginx in front', () => {
  const folder = tempDir('memtrace-nginx-');
  const started: Running[] = [];
  let url = '';
  let backend: Backend;

  beforeAll(async () => {
    backend = await startBackend();
    url = await startNginx('backends.one.conf', [backend.port]);
  });

  afterAll(async () => {
    for (const one of started.reverse()) await one.stop();
    await backend?.running.stop();
  });

  /** The files of deploy/nginx with other places and ports, and nothing else changed. */
  async function startNginx(backends: string, ports: readonly number[]): Promise<string> {
    const home = join(folder, backends);
    cpSync(join(ROOT, 'deploy/nginx'), home, { recursive: true });
    mkdirSync(join(home, 'certs'), { recursive: true });
    const subject = ['-subj', '/CN=localhost', '-days', '2', '-nodes'];
    const out = ['-keyout', join(home, 'certs/tls.key'), '-out', join(home, 'certs/tls.crt')];
    run(String(openssl), ['req', '-x509', '-newkey', 'rsa:2048', ...subject, ...out]);
    const port = await freePort();
    const left = [...ports];
    const local = (name: string) => {
      const text = readFileSync(join(home, name), 'utf8')
        .replaceAll('/etc/nginx', home)
        .replace('/run/nginx.pid', join(home, 'nginx.pid'))
        // A pipe of this test's, which cannot be opened by name.
        .replace('/dev/stdout', join(home, 'access.log'))
        .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
        .replace(/server memtrace(-\d)?:9100/g, () => `server 127.0.0.1:${left.shift()}`);
      writeFileSync(join(home, name), text);
    };
    for (const name of ['nginx.conf', 'tls.conf', backends]) local(name);
    cpSync(join(home, backends), join(home, 'backends.conf'));
    const args = ['-p', home, '-c', join(home, 'nginx.conf'), '-g', 'daemon off;'];
    run(String(nginx), [...args, '-t']);
    const running = start(String(nginx), args);
    started.push(running);
    await answers(`https://127.0.0.1:${port}/health`, running);
    return `https://127.0.0.1:${port}`;
  }

  it('passes what clients need and hides the rest', async () => {
    expect((await fetch(`${url}/health`)).status).toBe(200);
    for (const path of ['/metrics', '/ready', '/docs', '/']) {
      expect((await fetch(url + path)).status, path).toBe(404);
    }
    const response = await write(url, { content: 'one' }, 'first');
    expect(response.status).toBe(201);
    expect(response.headers.get('x-request-id')).toBeTruthy();
    expect(response.headers.get('strict-transport-security')).toContain('max-age');
    const log = readFileSync(join(folder, 'backends.one.conf/access.log'), 'utf8');
    const entries = log.trim().split('\n');
    for (const entry of entries) expect(JSON.parse(entry)).toHaveProperty('status');
    expect(log).not.toContain(TEST_KEY);
    const keyless = await fetch(`${url}/api/v1/memories`);
    expect(keyless.status).toBe(401);
  });

  it.skipIf(missing('blackbox_exporter', blackbox))('shows when its certificate ends', async () => {
    // The certificate is nobody's: only here is that no matter.
    const modules = readFileSync(join(ROOT, 'deploy/prometheus/blackbox.yml'), 'utf8');
    const config = join(folder, 'blackbox.yml');
    const trusting = 'fail_if_not_ssl: true\n      tls_config: {insecure_skip_verify: true}';
    writeFileSync(config, modules.replace('fail_if_not_ssl: true', trusting));
    const port = await freePort();
    const listen = `--web.listen-address=127.0.0.1:${port}`;
    started.push(start(String(blackbox), [`--config.file=${config}`, listen]));
    await answers(`http://127.0.0.1:${port}/-/healthy`, started.at(-1));
    const target = `http://127.0.0.1:${port}/probe?module=http_tls&target=${url}/health`;
    const text = await (await fetch(target)).text();
    expect(text).toContain('probe_success 1');
    const end = Number(/^probe_ssl_earliest_cert_expiry ([\d.e+]+)$/m.exec(text)?.[1]);
    expect(end - Date.now() / 1000).toBeGreaterThan(86_400);
    expect(end - Date.now() / 1000).toBeLessThan(14 * 86_400);
  });

  it('lets the server say what is too large', async () => {
    const large = JSON.stringify({ agent_id: 'a', content: 'x'.repeat(11 * 1024 * 1024) });
    const response = await post(`${url}/api/v1/memories`, large, 'application/json');
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ code: 'body_too_large' });
    const search = await post(`${url}/api/v1/search`, large, 'application/json');
    expect(search.status).toBe(413);
  });

  it('streams lines as they come and exports as they go', async () => {
    const line = `${JSON.stringify({ agent_id: 'stream', content: 'y'.repeat(1_000) })}\n`;
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        const unique = line.replace('yyyyyyyy', String(sent).padStart(8, '0'));
        controller.enqueue(new TextEncoder().encode(unique));
        sent += 1;
        // Longer than a moment: a proxy that buffers would show no byte to the server meanwhile.
        if (sent === 100) await sleep(200);
        if (sent === 3_000) controller.close();
      },
    });
    const response = await fetch(`${url}/api/v1/memories`, {
      method: 'POST',
      headers: { 'x-api-key': TEST_KEY, 'content-type': 'application/x-ndjson' },
      body,
      duplex: 'half',
    });
    expect(await response.json()).toMatchObject({ accepted: 3_000, rejected_count: 0 });
    expect((await exported(url, 'stream')).length).toBe(3_000);
  });

  it('loses nothing that was acknowledged while the server restarts under load', async () => {
    const acknowledged: string[] = [];
    const statuses = new Map<number, number>();
    let stop = false;
    const writer = async (name: string) => {
      for (let n = 0; !stop; n += 1) {
        acknowledged.push(await writeWithRetries(url, `${name}-${n}`, statuses));
        // Six of them stay below the proxy's 500 requests a second and key.
        await sleep(15);
      }
    };
    const writers = Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(writer));
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      await sleep(700);
      await backend.running.stop(signal);
      await sleep(300);
      backend = await startBackend(backend);
    }
    await sleep(700);
    stop = true;
    await writers;
    const stored = await exported(url, 'load');
    console.log(`${acknowledged.length} acknowledged, answers ${JSON.stringify([...statuses])}`);
    expect(acknowledged.length).toBeGreaterThan(100);
    expect(new Set(stored).size).toBe(stored.length);
    expect(new Set(acknowledged).size).toBe(acknowledged.length);
    const lost = acknowledged.filter((id) => !stored.includes(id));
    expect(lost).toEqual([]);
    // Each write is there once, though some were sent twice.
    expect(stored.length).toBe(acknowledged.length);
    // What a client without retries would have seen is only the answer that asks for one.
    expect([...statuses.keys()].filter((status) => ![201, 503].includes(status))).toEqual([]);
  }, 60_000);

  it('balances over three servers and leaves out one that is gone', async () => {
    const three = await Promise.all([startBackend(), startBackend(), startBackend()]);
    const balanced = await startNginx(
      'backends.three.conf',
      three.map(({ port }) => port),
    );
    const health = async () => (await fetch(`${balanced}/health`)).status;
    const before = await Promise.all(Array.from({ length: 30 }, health));
    expect(new Set(before)).toEqual(new Set([200]));
    for (let n = 0; n < 12; n += 1) await write(balanced, { content: `c${n}` }, `three-${n}`);
    const counts = await Promise.all(three.map(({ port }) => writesOf(port)));
    expect(counts.reduce((a, b) => a + b)).toBe(12);
    expect(counts.filter((count) => count > 0).length).toBe(3);
    await three[0].running.stop('SIGKILL');
    const after = [];
    for (let n = 0; n < 30; n += 1) after.push(await health());
    expect(new Set(after)).toEqual(new Set([200]));
    await Promise.all(three.map(({ running }) => running.stop()));
  });
});

interface Backend {
  port: number;
  dataDir: string;
  running: Running;
}

/** A server, or the same one again: on its port and its data. */
async function startBackend(again?: Backend): Promise<Backend> {
  const port = again?.port ?? (await freePort());
  const dataDir = again?.dataDir ?? tempDir('memtrace-backend-');
  const env = cleanEnv({
    MEMTRACE_SERVER_PORT: String(port),
    MEMTRACE_STORAGE_DATA_DIR: dataDir,
    MEMTRACE_AUTH_BOOTSTRAP_KEY: TEST_KEY,
  });
  if (again === undefined) rmSync(dataDir, { recursive: true, force: true });
  const running = start(process.execPath, [PROGRAM, 'serve'], { env, cwd: '/tmp' });
  await answers(`http://127.0.0.1:${port}/ready`, running);
  return { port, dataDir, running };
}

function post(url: string, body: string, type: string, more: Record<string, string> = {}) {
  const headers = { 'x-api-key': TEST_KEY, 'content-type': type, ...more };
  return fetch(url, { method: 'POST', headers, body });
}

function write(url: string, fields: Record<string, unknown>, key: string): Promise<Response> {
  const body = JSON.stringify({ agent_id: 'load', ...fields });
  return post(`${url}/api/v1/memories`, body, 'application/json', { 'idempotency-key': key });
}

/** As SDKs do it: the same key again until there is an answer. */
async function writeWithRetries(
  url: string,
  key: string,
  statuses: Map<number, number>,
): Promise<string> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const response = await write(url, { content: `event ${key}` }, key);
    statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
    const body = (await response.json()) as { id: string };
    if (response.status === 201) return body.id;
    await sleep(100);
  }
  throw new Error(`no answer to ${key}`);
}

/** Ids of everything that an agent has, without the first test's. */
async function exported(url: string, agent: string): Promise<string[]> {
  const response = await fetch(`${url}/api/v1/export?agent_id=${agent}`, {
    headers: { 'x-api-key': TEST_KEY },
  });
  const lines = (await response.text()).trim().split('\n');
  const rows = lines.map((line) => JSON.parse(line) as { id?: string; content?: string });
  expect(rows.pop()).toMatchObject({ end: true });
  return rows.filter(({ content }) => content !== 'one').map(({ id }) => String(id));
}

async function writesOf(port: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^memtrace_writes_total (\d+)/m.exec(text)?.[1]);
}

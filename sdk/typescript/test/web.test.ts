import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { EdgeVM } from '@edge-runtime/vm';
import { expect, it } from 'vitest';
import { startServer, type TestServer } from './support.js';

/** Runtimes without Node's modules: a browser, and the web APIs of an edge function. */
const ROOT = join(import.meta.dirname, '..');
const CHROMIUM = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);
const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run'];
const QUIET = ['--disable-background-networking', '--disable-component-update', '--disable-sync'];

if (CHROMIUM === undefined) console.warn('skipped: no Chromium is on PATH');

it.skipIf(CHROMIUM === undefined)('works in a browser, from a page of another origin', async () => {
  let server: TestServer | undefined;
  const { site, origin, told } = await pageServer(() => server);
  server = await startServer({ env: { MEMTRACE_SERVER_CORS_ORIGINS: origin } });
  const profile = mkdtempSync(join(tmpdir(), 'memtrace-chromium-'));
  const argv = [...FLAGS, ...QUIET, `--user-data-dir=${profile}`, `${origin}/`];
  const browser = spawn(CHROMIUM ?? '', argv, { stdio: 'ignore' });
  const ended = new Promise((done) => browser.on('exit', done));
  try {
    expect(await Promise.race([told, ended.then(() => 'the browser ended')])).toBe('ok');
  } finally {
    browser.kill();
    await ended;
    site.close();
    await server.stop();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
});

it('works in an edge runtime', async () => {
  const server = await startServer();
  try {
    const vm = new EdgeVM();
    expect(vm.evaluate('typeof process + typeof Buffer')).toBe('undefinedundefined');
    const sdk = requireIn(vm, join(ROOT, 'dist/cjs/index.js'));
    const steps = readFileSync(join(ROOT, 'test/smoke-steps.mjs'), 'utf8');
    const smoke = vm.evaluate(`${steps.replace('export async', 'async')}; smoke`);
    await smoke(sdk, { baseUrl: server.url, apiKey: server.key, agent: 'agent_edge' });
  } finally {
    await server.stop();
  }
});

/** The CommonJS build, evaluated with nothing but the globals of the edge runtime. */
function requireIn(vm: EdgeVM, path: string, loaded = new Map<string, object>()): object {
  const known = loaded.get(path);
  if (known !== undefined) return known;
  const exports = vm.evaluate('({})') as object;
  loaded.set(path, exports);
  const load = (name: string) => requireIn(vm, resolve(dirname(path), name), loaded);
  vm.evaluate(`(function (exports, require) {${readFileSync(path, 'utf8')}\n})`)(exports, load);
  return exports;
}

/** A web site with the built package and a page that runs the steps and tells how they went. */
async function pageServer(memtrace: () => TestServer | undefined) {
  let tell: (text: string) => void = () => undefined;
  const told = new Promise<string>((done) => {
    tell = done;
  });
  const site: Server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0] ?? '/';
    if (path === '/told') {
      tell(decodeURIComponent(request.url?.split('?')[1] ?? ''));
      response.end();
    } else if (path === '/') {
      response.setHeader('content-type', 'text/html').end(page(memtrace()));
    } else if (/^\/(?:dist\/esm|test)\/[\w-]+\.m?js$/.test(path)) {
      response.setHeader('content-type', 'text/javascript');
      response.end(readFileSync(join(ROOT, path)));
    } else response.writeHead(404).end();
  });
  await new Promise<void>((done) => site.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;
  return { site, origin, told };
}

function page(server: TestServer | undefined): string {
  const settings = { baseUrl: server?.url, apiKey: server?.key, agent: 'agent_browser' };
  return `<!doctype html><script type="module">
    import * as sdk from '/dist/esm/index.js';
    import { smoke } from '/test/smoke-steps.mjs';
    const tell = (text) => fetch('/told?' + encodeURIComponent(text));
    smoke(sdk, ${JSON.stringify(settings)}).then(() => tell('ok'), (error) => tell(String(error)));
  </script>`;
}

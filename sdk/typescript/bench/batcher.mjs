// Durable events per second from one process through the batcher, and through a bare loop of fetch
// with bodies of the same size and as many of them under way. Usage: batcher.mjs [events] [rounds]
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Memtrace } from '../dist/esm/index.js';

const EVENTS = Number(process.argv[2] ?? 200_000);
const ROUNDS = Number(process.argv[3] ?? 3);
const ITEMS = 500;
const LANES = 4;
const AGENTS = 16;
const KEY = `mtk_${'b'.repeat(40)}`;
const PROGRAM =
  process.env.MEMTRACE_TEST_PROGRAM ??
  join(import.meta.dirname, '../../../dist/cmd/memtrace/main.js');
const TEXT = 'Crawled a page of the shop and found three products, none of them new. '.repeat(2);

async function startServer() {
  const dataDir = mkdtempSync(join(tmpdir(), 'memtrace-bench-'));
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address();
  probe.close();
  const env = {
    PATH: process.env.PATH,
    MEMTRACE_STORAGE_DATA_DIR: dataDir,
    MEMTRACE_SERVER_PORT: String(port),
    MEMTRACE_AUTH_BOOTSTRAP_KEY: KEY,
  };
  const child = spawn(process.execPath, [PROGRAM, 'serve'], {
    cwd: tmpdir(),
    env,
    stdio: 'ignore',
  });
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    const ready = await fetch(`${url}/ready`).catch(() => undefined);
    if (ready?.status === 200) break;
    await sleep(20);
  }
  const stop = async () => {
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { url, stop, pid: child.pid };
}

/** What reads a body and answers at once: the ceiling of the client itself. */
async function startSink() {
  const code = `require('node:http').createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(201).end('{}'));
  }).listen(0, '127.0.0.1', function () { process.send(this.address().port); })`;
  const child = spawn(process.execPath, ['-e', code], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const port = await new Promise((resolve) => child.once('message', resolve));
  return { url: `http://127.0.0.1:${port}`, stop: async () => child.kill('SIGKILL') };
}

let serial = 0;
function event() {
  serial += 1;
  return {
    agent_id: `agent_${serial % AGENTS}`,
    session_id: `sess_${serial % AGENTS}`,
    event_type: 'page_crawled',
    content: `${TEXT}${serial}`,
    tags: ['crawl', 'shop'],
    metadata: { page: serial, depth: 2 },
  };
}

async function throughBatcher(url) {
  const client = new Memtrace({ baseUrl: url, apiKey: KEY });
  const batcher = client.batcher({ maxItems: ITEMS, lanes: LANES, maxBufferedBytes: 8 << 20 });
  for (let i = 0; i < EVENTS; i += 1) await batcher.add(event());
  await batcher.close();
}

async function throughFetch(url) {
  let left = EVENTS;
  const headers = { 'x-api-key': KEY, 'content-type': 'application/json' };
  const loop = async () => {
    while (left > 0) {
      left -= ITEMS;
      const memories = Array.from({ length: ITEMS }, event);
      const body = JSON.stringify({ memories });
      const response = await fetch(`${url}/api/v1/memories`, { method: 'POST', headers, body });
      await response.text();
      if (response.status !== 201) throw new Error(`status ${response.status}`);
    }
  };
  await Promise.all(Array.from({ length: LANES }, loop));
}

/** User and system time of all threads of a process, in µs, where there is a /proc. */
function cpuOf(pid) {
  const file = `/proc/${pid}/stat`;
  if (pid === undefined || !existsSync(file)) return Number.NaN;
  const fields = readFileSync(file, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function measure(name, run, { url, pid }) {
  const there = cpuOf(pid);
  const cpu = process.cpuUsage();
  const started = performance.now();
  await run(url);
  const seconds = (performance.now() - started) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  const rate = EVENTS / seconds;
  const here = ((user + system) / EVENTS).toFixed(1);
  const server = ((cpuOf(pid) - there) / EVENTS).toFixed(1);
  const costs = `CPU of an event: ${here} µs here, ${server} µs in the server`;
  console.log(`${name}: ${Math.round(rate)} events/s; ${costs}`);
  return rate;
}

const server = await startServer();
const sink = await startSink();
try {
  await measure('batcher, into a sink', throughBatcher, sink);
  for (let round = 0; round < ROUNDS; round += 1) {
    const bare = await measure('bare fetch', throughFetch, server);
    const rate = await measure('batcher   ', throughBatcher, server);
    console.log(`ratio ${(rate / bare).toFixed(2)}`);
  }
} finally {
  await sink.stop();
  await server.stop();
}

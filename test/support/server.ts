import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The built program (`npm run build` puts it there), or another one to be tested the same way. */
export const PROGRAM =
  process.env['MEMTRACE_TEST_PROGRAM'] ??
  fileURLToPath(new URL('../../dist/cmd/memtrace/main.js', import.meta.url));

/** The admin key of every server started here, unless the caller's env says otherwise. */
export const TEST_KEY = `mtk_${'t'.repeat(40)}`;

const MAX_LOG_LINES = 5_000;
const PORT_ATTEMPTS = 3;

export interface StartOptions {
  /** Absent: a fresh temporary directory, removed by stop(). Given: never removed here. */
  dataDir?: string;
  /**
   * Added to a clean environment (PATH and HOME only), e.g. `{ MEMTRACE_BUFFER_MAX_ROWS: '500' }`.
   */
  env?: Record<string, string>;
  /** Arguments after `serve`. */
  args?: readonly string[];
  /** Flags of node itself, before the program. */
  nodeArgs?: readonly string[];
  /** Default: a free one. For a restart that clients must find again. */
  port?: number;
  /** Default 30,000. */
  readyTimeoutMs?: number;
  /** Told the process id at once, e.g. to kill it before it is ready. */
  onSpawn?: (pid: number) => void;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface TestServer {
  url: string;
  key: string;
  port: number;
  pid: number;
  dataDir: string;
  /** From spawn to the first 200 of /ready. */
  readyMs: number;
  /** The last lines of stdout and stderr, oldest first; grows while the server runs. */
  logs: readonly string[];
  /** Settles when the process has ended, however it ended. */
  exited: Promise<Exit>;
  /** Sends the signal (default SIGTERM), waits for the end, removes a temporary data directory. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
  /** SIGKILL; the data directory stays, for a restart with `{ dataDir }`. */
  kill9(): Promise<Exit>;
}

/** What must not outlive this process, however it ends. */
const children = new Set<ChildProcess>();
const directories = new Set<string>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const path of directories) rmSync(path, { recursive: true, force: true });
});

/** A directory that goes away with this process. */
export function tempDir(prefix = 'memtrace-test-'): string {
  const path = mkdtempSync(join(tmpdir(), prefix));
  directories.add(path);
  return path;
}

/** A temporary directory that stays after all: the evidence of a failure. */
export function keepDir(path: string): void {
  directories.delete(path);
}

/** A port that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', resolve);
  });
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

/**
 * Starts the built program and waits until /ready answers 200.
 * Throws with the program's own output if it ends or stays unready first.
 */
export async function startServer(options: StartOptions = {}): Promise<TestServer> {
  const dataDir = options.dataDir ?? tempDir();
  for (let attempt = 1; ; attempt += 1) {
    const server = launch(options, dataDir, options.port ?? (await freePort()));
    try {
      await server.ready;
      return server;
    } catch (error) {
      await server.kill9();
      const portTaken = server.logs.some((line) => line.includes('EADDRINUSE'));
      if (!portTaken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

/** PATH and HOME, and nothing of the caller's MEMTRACE_ variables. */
export function cleanEnv(extra: Record<string, string> = {}): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...extra };
}

interface Launched extends TestServer {
  ready: Promise<void>;
}

function launch(options: StartOptions, dataDir: string, port: number): Launched {
  const env = cleanEnv({
    MEMTRACE_STORAGE_DATA_DIR: dataDir,
    MEMTRACE_SERVER_PORT: String(port),
    MEMTRACE_AUTH_BOOTSTRAP_KEY: TEST_KEY,
    ...options.env,
  });
  const argv = [...(options.nodeArgs ?? []), PROGRAM, 'serve', ...(options.args ?? [])];
  const startedAt = performance.now();
  // Another working directory than the checkout's: its ./config/memtrace.toml must not be read.
  const child = spawn(process.execPath, argv, { cwd: tmpdir(), env, stdio: 'pipe' });
  const exited = exitOf(child);
  if (child.pid !== undefined) options.onSpawn?.(child.pid);
  const server: Launched = {
    url: `http://127.0.0.1:${port}`,
    key: env['MEMTRACE_AUTH_BOOTSTRAP_KEY'] ?? TEST_KEY,
    port,
    pid: child.pid ?? -1,
    dataDir,
    readyMs: Number.NaN,
    logs: collectLines(child),
    exited,
    ready: Promise.resolve(),
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      const exit = await exited;
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
      return exit;
    },
    kill9: () => {
      child.kill('SIGKILL');
      return exited;
    },
  };
  server.ready = waitReady(server, options.readyTimeoutMs ?? 30_000).then(() => {
    server.readyMs = performance.now() - startedAt;
  });
  return server;
}

function exitOf(child: ChildProcess): Promise<Exit> {
  children.add(child);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      children.delete(child);
      resolve({ code, signal });
    });
  });
}

function collectLines(child: ChildProcess): string[] {
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
      if (lines.length > MAX_LOG_LINES) lines.splice(0, lines.length - MAX_LOG_LINES);
    });
    stream?.once('end', () => rest !== '' && lines.push(rest));
  }
  return lines;
}

async function waitReady(server: TestServer, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let ended: Exit | undefined;
  server.exited.then(
    (exit) => {
      ended = exit;
    },
    (error: Error) => {
      ended = { code: null, signal: null };
      console.error(error.message);
    },
  );
  while (performance.now() < deadline) {
    if (ended !== undefined) {
      const how = `code ${ended.code}, signal ${ended.signal}`;
      throw new Error(`the server ended before it was ready (${how}):\n${tail(server)}`);
    }
    const status = await readyStatus(server.url);
    if (status === 200) return;
    await sleep(5);
  }
  throw new Error(`the server was not ready within ${timeoutMs} ms:\n${tail(server)}`);
}

async function readyStatus(url: string): Promise<number> {
  try {
    const response = await fetch(`${url}/ready`);
    await response.arrayBuffer();
    return response.status;
  } catch {
    return 0;
  }
}

function tail(server: TestServer): string {
  return server.logs.slice(-40).join('\n');
}

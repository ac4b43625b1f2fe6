import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort, startServer, type TestServer, tempDir } from '../../support/server.js';
import { BenchClient, checked } from './client.js';
import { writeEvents } from './events.js';
import type { Figure } from './figures.js';

const CEILING = fileURLToPath(new URL('../ceiling.ts', import.meta.url));
const FLUSH_WAIT_MS = 60_000;
/** Fewer rows than this wait for their age, not for the flusher. */
const ONE_BUFFER = 49_999;

/** One or more lines of the table. Runs alone; rows of one run share servers through the bench. */
export interface Row {
  name: string;
  run(bench: Bench): Promise<Figure[]>;
}

/** How long and how much, in the short and in the full form. */
export interface Scale {
  short: boolean;
  /** Of one measurement; A and B take turns `rounds` times. */
  seconds: number;
  rounds: number;
  /** Events in the store that is read. */
  stored: number;
  /** Lines of the NDJSON stream. */
  stream: number;
  /** Reads of each kind. */
  reads: number;
}

export const SHORT: Scale = {
  short: true,
  seconds: 2,
  rounds: 2,
  stored: 200_000,
  stream: 200_000,
  reads: 150,
};
export const FULL: Scale = {
  short: false,
  seconds: 8,
  rounds: 3,
  stored: 1_000_000,
  stream: 1_000_000,
  reads: 500,
};

export interface Target {
  url: string;
  key: string;
}

/** The servers of a run, started when a row first asks for them. */
export class Bench {
  readonly scale: Scale;
  readonly dir = tempDir('memtrace-bench-');
  private writing: Promise<TestServer> | undefined;
  private loaded: Promise<TestServer> | undefined;
  private ceiling: Promise<Target> | undefined;
  private ceilingProcess: ChildProcess | undefined;
  private readonly loadedDir = tempDir('memtrace-bench-loaded-');

  constructor(scale: Scale) {
    this.scale = scale;
  }

  /** The server that takes the write loads. */
  writeServer(): Promise<TestServer> {
    this.writing ??= startServer();
    return this.writing;
  }

  /** The server that holds `scale.stored` events of 30 days, flushed. */
  loadedServer(): Promise<TestServer> {
    this.loaded ??= this.load();
    return this.loaded;
  }

  /** Ends the loaded server in order and starts it anew; the measure of a start with data. */
  async restartLoaded(): Promise<TestServer> {
    await (await this.loadedServer()).stop();
    this.loaded = startServer({ dataDir: this.loadedDir, readyTimeoutMs: 120_000 });
    return this.loaded;
  }

  ceilingServer(): Promise<Target> {
    this.ceiling ??= this.startCeiling();
    return this.ceiling;
  }

  async close(): Promise<void> {
    await (await this.writing)?.stop('SIGKILL');
    await (await this.loaded)?.kill9();
    this.ceilingProcess?.kill('SIGTERM');
  }

  private async load(): Promise<TestServer> {
    const server = await startServer({
      dataDir: this.loadedDir,
      env: { MEMTRACE_BUFFER_MAX_AGE: '1s' },
    });
    const path = join(this.dir, 'load.ndjson');
    await writeEvents({ path, label: 'load', count: this.scale.stored, days: 30 });
    const client = new BenchClient(server);
    checked(await client.stream(path));
    await flushed(client, 0);
    client.close();
    return server;
  }

  private async startCeiling(): Promise<Target> {
    const port = await freePort();
    const argv = ['--import', 'tsx', CEILING, String(port)];
    this.ceilingProcess = spawn(process.execPath, argv, { stdio: 'inherit' });
    const target = { url: `http://127.0.0.1:${port}`, key: '' };
    const client = new BenchClient(target);
    for (;;) {
      const reply = await client.get('/ready').catch(() => undefined);
      if (reply?.status === 200) return target;
      await sleep(20);
    }
  }
}

/**
 * Waits until no more than so many acknowledged rows are only in the log, or a minute has passed.
 */
async function flushed(client: BenchClient, rows: number): Promise<void> {
  const deadline = performance.now() + FLUSH_WAIT_MS;
  while (performance.now() < deadline) {
    const { text } = await client.get('/metrics');
    if (!(metric(text, 'memtrace_buffer_size') > rows)) return;
    await sleep(200);
  }
}

/** Lets a server finish what the row before left to it, so that rows do not measure each other. */
export async function settled(target: Target): Promise<void> {
  const client = new BenchClient(target);
  await flushed(client, ONE_BUFFER);
  client.close();
  await sleep(1_000);
}

/** The first sample of a metric in Prometheus text; NaN when there is none. */
export function metric(text: string, name: string): number {
  const line = text.split('\n').find((l) => l.startsWith(`${name} `) || l.startsWith(`${name}{`));
  return Number(line?.split(' ').pop() ?? Number.NaN);
}

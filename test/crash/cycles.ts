import { setTimeout as sleep } from 'node:timers/promises';
import { type Api, api } from '../support/api.js';
import { type Memory, walk } from '../support/memory.js';
import { type Random, randomOf } from '../support/random.js';
import {
  keepDir,
  type StartOptions,
  startServer,
  type TestServer,
  tempDir,
} from '../support/server.js';
import { EventMaker } from './events.js';
import { type Entry, type Finding, Ledger } from './ledger.js';
import { type Retry, retryAll, run, STEPS, unexpected, type Writer } from './writers.js';

/** Small limits, so that flush, commit, release and rotation happen all the time. */
const SMALL_BUFFERS = {
  MEMTRACE_BUFFER_MAX_ROWS: '500',
  MEMTRACE_BUFFER_MAX_AGE: '300ms',
  MEMTRACE_WAL_SEGMENT_SIZE: '1MiB',
};
const BUSY_UPKEEP = {
  MEMTRACE_COMPACTION_INTERVAL: '100ms',
  MEMTRACE_COMPACTION_MIN_FILES: '2',
  MEMTRACE_ERASURE_DEADLINE: '1m',
};
const SAMPLE = 20;
const ANSWERED_RETRIES = 6;

export interface CrashOptions {
  cycles: number;
  seed: number;
  /** Files are merged and erased rows removed all the time; the load then lasts longer. */
  upkeep?: boolean;
  /** Told after each cycle. */
  report?: (line: string) => void;
}

export interface CrashReport {
  seed: number;
  cycles: number;
  sent: number;
  acked: number;
  deleted: number;
  stored: number;
  killed: number;
  killedInStart: number;
  stoppedGently: number;
  slowestReadyMs: number;
  /** Merges of files that ended before their server did. */
  merges: number;
  findings: Finding[];
}

/**
 * Starts, loads, kills and restarts the real process on one growing data directory, and accounts
 * for every event after every restart. Stops at the first cycle with findings.
 */
export async function crashCycles(options: CrashOptions): Promise<CrashReport> {
  const run = new CrashRun(options);
  try {
    for (let cycle = 1; cycle <= options.cycles && !run.failed; cycle += 1) await run.cycle(cycle);
    if (!run.failed) await run.last();
  } catch (error) {
    run.keepEvidence();
    throw error;
  }
  if (run.failed) run.keepEvidence();
  return run.report;
}

class CrashRun {
  readonly report: CrashReport;
  private readonly options: CrashOptions;
  private readonly random: Random;
  private readonly env: Record<string, string>;
  private readonly ledger = new Ledger();
  private readonly dataDir = tempDir('memtrace-crash-');
  private retries: Retry[] = [];
  private server: TestServer | undefined;

  constructor(options: CrashOptions) {
    this.options = options;
    this.random = randomOf(options.seed);
    this.env = { ...SMALL_BUFFERS, ...(options.upkeep ? BUSY_UPKEEP : {}) };
    this.report = {
      seed: options.seed,
      cycles: 0,
      sent: 0,
      acked: 0,
      deleted: 0,
      stored: 0,
      killed: 0,
      killedInStart: 0,
      stoppedGently: 0,
      slowestReadyMs: 0,
      merges: 0,
      findings: [],
    };
  }

  get failed(): boolean {
    return this.report.findings.length > 0;
  }

  /** Leaves the data directory for whoever looks for the cause. */
  keepEvidence(): void {
    keepDir(this.dataDir);
    const log = this.server?.logs.slice(-20).join('\n') ?? '';
    console.error(`the data directory is kept: ${this.dataDir}\n${log}`);
  }

  async cycle(cycle: number): Promise<void> {
    if (cycle > 1 && this.random.chance(0.3)) await this.killInStart();
    const server = await this.start();
    await this.verify(server);
    if (this.failed) await server.kill9();
    else await this.load(server, cycle);
    this.report.cycles = cycle;
    this.options.report?.(`cycle ${cycle}: ${describe(this.report)}`);
  }

  /** The restart after the last kill, with nothing but the accounting. */
  async last(): Promise<void> {
    const server = await this.start();
    await this.verify(server);
    const again = await walk(api(server), 'order=desc&limit=777');
    this.note(this.ledger.check(again));
    await server.stop();
  }

  private async start(): Promise<TestServer> {
    const server = await startServer({ dataDir: this.dataDir, env: this.env });
    this.server = server;
    this.report.slowestReadyMs = Math.max(this.report.slowestReadyMs, Math.round(server.readyMs));
    return server;
  }

  /** A second crash during replay must lose nothing. */
  private async killInStart(): Promise<void> {
    const killAfter = this.random.int(20, 400);
    const options: StartOptions = {
      dataDir: this.dataDir,
      env: this.env,
      onSpawn: (pid) => setTimeout(() => killQuietly(pid), killAfter),
    };
    try {
      await (await startServer(options)).kill9();
    } catch (error) {
      if (!String(error).includes('SIGKILL')) throw error;
    }
    this.report.killedInStart += 1;
  }

  private async verify(server: TestServer): Promise<void> {
    const client = api(server);
    const rows = await walk(client, 'order=asc&limit=1000');
    this.note(this.ledger.check(rows));
    this.note(await checkById(client, this.random, rows, this.ledger));
    this.note(await retryAll(client, this.retries));
    this.retries = [];
    this.report.stored = rows.length;
    this.report.sent = this.ledger.size;
    this.report.acked = this.ledger.count('acked');
    this.report.deleted = this.ledger.deleted;
  }

  /** Eight writers until the process is killed under them. */
  private async load(server: TestServer, cycle: number): Promise<void> {
    let stopped = false;
    const writers = STEPS.map((_, at) => this.writer(server, `c${cycle}w${at}`, () => stopped));
    const running = writers.map((writer, at) => run(writer, stepOf(at)));
    // A merge takes a second, and the first one in a process longer.
    await sleep(this.options.upkeep ? this.random.int(500, 3_500) : this.random.int(50, 900));
    this.report.merges += await mergesOf(server);
    await this.end(server);
    stopped = true;
    await Promise.all(running);
    for (const writer of writers) this.note(writer.findings);
    this.retries = writers.flatMap((writer) => this.worthRetrying(writer.retries));
  }

  private writer(server: TestServer, name: string, stopped: () => boolean): Writer {
    const random = randomOf(this.random.int(0, 2 ** 31));
    return {
      client: api(server),
      ledger: this.ledger,
      maker: new EventMaker(`${this.options.seed}-${name}`, random),
      random,
      retries: [],
      findings: [],
      stopped,
    };
  }

  private worthRetrying(retries: readonly Retry[]): Retry[] {
    const open = retries.filter((retry) => !retry.answered);
    const keyed = retries.filter((retry) => retry.answered && retry.key !== undefined);
    return [...open, ...keyed.slice(-ANSWERED_RETRIES)];
  }

  private async end(server: TestServer): Promise<void> {
    if (!this.random.chance(0.12)) {
      const exit = await server.kill9();
      this.report.killed += exit.signal === 'SIGKILL' ? 1 : 0;
      return;
    }
    const exit = await server.stop();
    this.report.stoppedGently += 1;
    const text = `SIGTERM under load ended with ${JSON.stringify(exit)}`;
    if (exit.code !== 0) this.note([{ kind: 'answer', id: 'exit', text }]);
  }

  private note(findings: readonly Finding[]): void {
    this.report.findings.push(...findings);
  }
}

async function mergesOf(server: TestServer): Promise<number> {
  const { body } = await api(server).get<string>('/metrics');
  return Number(/^memtrace_compaction_runs_total (\d+)/m.exec(body)?.[1] ?? 0);
}

function stepOf(at: number): (writer: Writer) => Promise<void> {
  const step = STEPS[at];
  if (step === undefined) throw new Error(`no step ${at}`);
  return step;
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in the meantime.
  }
}

/** Every id that was answered finds its event, and a deleted one finds nothing. */
async function checkById(
  client: Api,
  random: Random,
  rows: readonly Memory[],
  ledger: Ledger,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const byId = new Map(rows.map((row) => [row.id, row]));
  for (const entry of sample(random, [...ledger.entries()])) {
    const answer = await client.get<Memory>(`/memories/${entry.id}`);
    const row = byId.get(entry.id ?? '');
    const expected = row === undefined ? 404 : 200;
    const same = row === undefined || JSON.stringify(answer.body) === JSON.stringify(row);
    if (answer.status !== expected || !same) findings.push(unexpected('GET by id', answer));
  }
  return findings;
}

function sample(random: Random, entries: readonly Entry[]): Entry[] {
  const answered = entries.filter((entry) => entry.id !== undefined);
  if (answered.length === 0) return [];
  return Array.from({ length: SAMPLE }, () => random.pick(answered));
}

/** The totals in one line. */
export function describe(report: CrashReport): string {
  const { sent, acked, deleted, stored, findings } = report;
  const by = (kind: Finding['kind']) => findings.filter((f) => f.kind === kind).length;
  const bad = `lost ${by('lost')}, doubled ${by('doubled')}, altered ${by('altered')}`;
  const rest = `torn ${by('torn')}, revived ${by('revived')}, wrong answers ${by('answer')}`;
  return `sent ${sent}, acked ${acked}, deleted ${deleted}, stored ${stored}: ${bad}, ${rest}`;
}

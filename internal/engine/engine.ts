import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { known } from '../base/assert.js';
import { type Clock, formatUs, systemClock } from '../base/clock.js';
import { UlidFactory } from '../base/ulid.js';
import { queriesAtOnce } from '../config/env.js';
import { readMachine } from '../config/machine.js';
import type { Config } from '../config/table.js';
import { openDedup } from '../dedup/open.js';
import { STATUS_OF } from '../fault/codes.js';
import { Answers } from '../ingest/answers.js';
import { Flusher } from '../ingest/flusher.js';
import { replay } from '../ingest/replay.js';
import { openSegmentLog } from '../log/segments/open.js';
import type { SegmentLog } from '../log/segments/segment-log.js';
import type { Metadata } from '../metadata/metadata.js';
import { acquireDirLock } from '../metadata/sqlite/lock.js';
import { openSqliteMetadata } from '../metadata/sqlite/sqlite.js';
import { Deletions } from '../recent/deletions.js';
import { Recent } from '../recent/recent.js';
import { openParquetStore, type ParquetStore } from '../store/parquet/parquet.js';
import type { Store } from '../store/store.js';
import type { Logger } from '../telemetry/log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Tracer } from '../telemetry/tracing.js';
import { bootstrapKey } from './bootstrap.js';
import { type DataDir, openDataDir } from './datadir.js';
import { observe } from './gauges.js';
import { refuseLostCatalog } from './lost-catalog.js';
import type { Opened } from './opened.js';
import { readinessOf } from './readiness.js';
import type { Host, Readiness, Services } from './services.js';
import { Shipping } from './shipping.js';
import { tracedStore, tracerOf } from './tracing.js';
import { VERSION } from './version.js';
import { watch } from './watch.js';
import { type Wired, wire } from './wire.js';

export interface EngineOptions {
  config: Config;
  log: Logger;
  metrics: Metrics;
  clock?: Clock;
  /** Shows the first admin key to a person; absent where nobody looks. */
  showKey?(secret: string, path: string): void;
  /** The log failed: the process must stop acknowledging and exit (C5). */
  onFatal(error: Error): void;
}

/**
 * Opens and wires everything in order; no logic. It is the API's host from its making on: until
 * `open` resolves it has no services, and /ready says so.
 */
export class Engine implements Host {
  readonly config: Config;
  readonly clock: Clock;
  readonly ulids = new UlidFactory();
  readonly log: Logger;
  readonly metrics: Metrics;
  services: Services | null = null;
  tracer: Tracer | null = null;
  draining = false;
  private readonly options: EngineOptions;
  private readonly startedMs: number;
  private readonly shipping: Shipping;
  private taken: Pick<Opened, 'dir' | 'lock'> | null = null;
  private opened: Opened | null = null;
  private wired: Wired | null = null;
  private replayed = 0;
  private readonly timers: NodeJS.Timeout[] = [];

  constructor(options: EngineOptions) {
    this.options = options;
    this.config = options.config;
    this.log = options.log;
    this.metrics = options.metrics;
    this.clock = options.clock ?? systemClock;
    this.startedMs = this.clock.monoMs();
    this.shipping = new Shipping(this);
  }

  /** Takes the data directory. Throws if another process has it, or its format is newer. */
  async prepare(): Promise<DataDir> {
    const dir = openDataDir(this.config.storage.dataDir);
    const lock = await acquireDirLock(dir.root, {
      what: 'memtrace',
      pid: process.pid,
      host: hostname(),
      startedAt: formatUs(this.clock.nowUs()),
    });
    this.taken = { dir, lock };
    return dir;
  }

  /** Opens what is in the directory, reads the log back and starts to serve. */
  async open(): Promise<void> {
    const { config, log } = this;
    const { dir, lock } = known(this.taken, 'prepare() comes before open()');
    this.tracer = await tracerOf(config, log);
    // Neither needs the other, and each spends its time in a thread of its own.
    const [metadata, wal] = await Promise.all([this.openMetadata(), this.openLog(dir)]);
    const store = await this.openStore(dir, metadata);
    const { catalog } = metadata;
    const epochs = await catalog.beginStream(wal.stream);
    const [position, active, runs, gone] = await Promise.all([
      catalog.position(wal.stream),
      metadata.deletions.active(),
      catalog.dedupRuns(),
      catalog.rowsGone(),
    ]);
    const dedup = await openDedup({
      dir: dir.dedup,
      windowUs: config.dedup.windowHours * 3_600_000_000,
      runs,
      catalog,
      nowUs: this.clock.nowUs(),
      onDamage: (damage) => log.error({ ...damage }, 'a deduplication run is damaged'),
      onError: (error) => log.error({ err: error }, 'upkeep of the deduplication index failed'),
    });
    const recent = new Recent(this.clock, position);
    const deletions = new Deletions(active);
    for (const { orgId, newestUs } of gone) deletions.noteGone(orgId, newestUs);
    const answers = new Answers(metadata.answers);
    const held = this.shipping.hold(wal, dir, position);
    const logs = { wal, held, epochs };
    const parts = { dir, lock, metadata, ...logs, store, dedup, recent, deletions, answers };
    const traced = tracedStore(store, this.tracer);
    const flusher = this.flusherOf({ ...parts, store: traced });
    this.opened = { ...parts, flusher };
    observe(this.metrics, this.opened);
    await refuseLostCatalog(wal, position);
    // If the log lost records that the store has, their positions must not be given out again.
    await held.release(position);
    await this.readLogBack(this.opened, position);
    await this.serve(this.opened);
  }

  async readiness(): Promise<Readiness> {
    return readinessOf(this.opened, {
      replaying: this.services === null,
      replayed: this.replayed,
      draining: this.draining,
    });
  }

  uptimeMs(): number {
    return this.clock.monoMs() - this.startedMs;
  }

  /** What commands of the operator reach: verify, flush, the erasure of an organization. */
  get operator(): Wired['operator'] | null {
    return this.wired?.operator ?? null;
  }

  /**
   * Closes in reverse: what was acknowledged is flushed if that can be done by `deadlineMs`
   * (monotonic), and stays in the log otherwise.
   */
  async close(deadlineMs: number): Promise<void> {
    this.draining = true;
    const { opened, wired } = this;
    // Stopped while it starts: nothing was acknowledged, and the log has all there is.
    if (opened === null || wired === null) return;
    for (const timer of this.timers) clearInterval(timer);
    this.shipping.stop();
    await wired.close();
    await this.flushBy(opened.flusher, deadlineMs);
    await opened.flusher.stop();
    await this.shipping.close();
    this.services = null;
    await opened.dedup.close();
    await opened.wal.close();
    await opened.store.close();
    await wired.ended();
    await opened.metadata.close();
    await opened.lock.release();
    await this.tracer?.close(LAST_SPANS_MS);
    this.metrics.close();
  }

  private async flushBy(flusher: Flusher, deadlineMs: number): Promise<void> {
    const left = Math.max(0, deadlineMs - this.clock.monoMs());
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('shutdown_timeout is over')), left);
    });
    try {
      await Promise.race([flusher.flush(), timeout]);
    } catch (error) {
      this.log.warn({ err: error }, 'not everything was flushed: the rest stays in the log');
    } finally {
      clearTimeout(timer);
    }
  }

  private watch({ dir }: Opened): NodeJS.Timeout {
    const { metrics } = this;
    metrics.expectRejections(REFUSALS);
    const { cgroupBytes, memoryBytes } = readMachine();
    return watch({
      metrics,
      dataDir: dir.root,
      memoryBytes: cgroupBytes ?? memoryBytes,
      readiness: () => this.readiness(),
    });
  }

  /** What loads with its first use is loaded once nobody waits for the start any more. */
  private warm(store: ParquetStore): NodeJS.Timeout {
    return setTimeout(() => {
      store.ready().catch((error: unknown) => {
        this.log.error({ err: error }, 'the query engine cannot be loaded');
      });
      void this.metrics.render();
    }, WARM_AFTER_MS).unref();
  }

  private openMetadata(): Promise<Metadata> {
    return openSqliteMetadata({
      path: this.config.auth.dbPath,
      slowMs: 250,
      onSlow: (statement) => this.log.warn({ ...statement }, 'slow metadata statement'),
    });
  }

  private openLog(dir: DataDir): Promise<SegmentLog> {
    const { wal } = this.config;
    return openSegmentLog({
      dir: dir.wal,
      segmentBytes: wal.segmentSizeBytes,
      maxPendingBytes: wal.maxPendingBytes,
      ack: wal.ack,
      onSync: (ms, _records, bytes) => {
        this.metrics.walSynced(ms / 1000);
        this.shipping.synced(bytes);
      },
      onDamage: (damage) => {
        this.metrics.walDamaged();
        this.log.error({ ...damage }, 'a part of the log is damaged and was put into quarantine');
      },
      onFailed: (cause) => this.options.onFatal(cause),
    });
  }

  private openStore(dir: DataDir, metadata: Metadata): Promise<ParquetStore> {
    const { query } = this.config;
    return openParquetStore({
      dataDir: dir.root,
      catalog: metadata.catalog,
      duckdb: {
        memoryLimitBytes: query.memoryLimitBytes,
        threads: query.threads,
        connections: queriesAtOnce(query.maxConcurrent),
      },
      ulids: this.ulids,
      clock: this.clock,
      onDamage: (damage) => this.log.error({ ...damage }, 'a file is damaged'),
    });
  }

  private flusherOf(parts: Omit<Opened, 'flusher' | 'store'> & { store: Store }): Flusher {
    const { config, metrics, log } = this;
    return new Flusher({
      ...parts,
      clock: this.clock,
      log: parts.held,
      answerStore: parts.metadata.answers,
      deletionStore: parts.metadata.deletions,
      maxRows: config.buffer.maxRows,
      maxBytes: config.buffer.maxBytes,
      maxAgeMs: config.buffer.maxAgeMs,
      onFlushed: (rows, ms) => {
        metrics.flushed(rows, ms / 1000);
        log.debug({ rows, ms: Math.round(ms) }, 'flushed');
      },
      onFailed: (error, retryInMs) => {
        metrics.flushFailed();
        log.error({ err: error, retry_in_ms: retryInMs }, 'the flush failed; the log is kept');
      },
    });
  }

  private async readLogBack(opened: Opened, position: number): Promise<void> {
    const { dir, wal, dedup, recent, deletions, answers, flusher } = opened;
    const { maxRows } = this.config.buffer;
    const start = this.clock.monoMs();
    const events = await replay(
      {
        log: wal,
        dedup,
        recent,
        deletions,
        answers,
        nowUs: this.clock.nowUs(),
        onUnreadable: (at, payload, error) => {
          writeFileSync(join(dir.quarantine, `record-${at}.txt`), payload, { mode: 0o600 });
          this.metrics.walDamaged();
          this.log.error({ position: at, err: error }, 'a record of the log cannot be read');
        },
        onProgress: async (total) => {
          this.replayed = total;
          if (recent.rows > 2 * maxRows) await flusher.flush();
        },
      },
      position,
    );
    const ms = Math.round(this.clock.monoMs() - start);
    if (events > 0) this.log.info({ events, ms }, 'read the log back');
  }

  private async serve(opened: Opened): Promise<void> {
    const { config } = this;
    const cursorSecret = await opened.metadata.setting(
      'cursor_secret',
      randomBytes(32).toString('base64url'),
    );
    this.wired = wire(this, opened, cursorSecret);
    const show = this.options.showKey ?? (() => undefined);
    const { keys } = this.wired.services;
    await bootstrapKey(keys, config.auth.bootstrapKey, opened.dir.adminKey, show);
    opened.flusher.start();
    this.wired.upkeep.start();
    const { operator } = this.wired;
    await this.shipping.start(opened, (order) => operator.backup(order));
    this.timers.push(sweepHourly(opened.store, this.log), this.watch(opened));
    this.services = this.wired.services;
    this.timers.push(this.warm(opened.store));
    this.log.info({ version: VERSION, data_dir: config.storage.dataDir }, 'ready');
  }
}

/** What an alert may ask for before it ever happened. */
const REFUSALS = Object.entries(STATUS_OF)
  .filter(([, status]) => status >= 500 || status === 429)
  .map(([code]) => code);

/** How long a stop waits for the collector of traces. */
const LAST_SPANS_MS = 1_000;

/** Loading takes 100 ms of the event loop: after the answer to whoever polls /ready. */
const WARM_AFTER_MS = 200;

const SWEEP_EVERY_MS = 3_600_000;
const FIRST_SWEEP_MS = 10_000;

/** Orphans of crashes go soon after the start and hourly; what a catalog names never does. */
function sweepHourly(store: ParquetStore, log: Logger): NodeJS.Timeout {
  const sweep = () => {
    store.sweep().then(
      (report) => log.debug({ ...report }, 'swept'),
      (error: unknown) => log.warn({ err: error }, 'the sweep failed'),
    );
  };
  setTimeout(sweep, FIRST_SWEEP_MS).unref();
  return setInterval(sweep, SWEEP_EVERY_MS).unref();
}

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FairPool } from '../base/fair-pool.js';
import { UlidFactory } from '../base/ulid.js';
import type { Event, EventFilter } from '../event/event.js';
import { matches } from '../event/filter.js';
import { rowLine } from '../event/json.js';
import { joinRowLines } from '../event/rowlines.js';
import { Flusher } from '../ingest/flusher.js';
import { Ingest } from '../ingest/ingest.js';
import type { Log, LogRecord } from '../log/log.js';
import type { Epoch } from '../metadata/epochs.js';
import type { Catalog, Deletion, Metadata } from '../metadata/metadata.js';
import { openSqliteMetadata } from '../metadata/sqlite/sqlite.js';
import { Recall } from '../recall/recall.js';
import { Deletions } from '../recent/deletions.js';
import { Recent } from '../recent/recent.js';
import { openParquetStore, type ParquetStore } from '../store/parquet/parquet.js';
import type { UpkeepSettings } from './parts.js';
import { Upkeep } from './upkeep.js';

/** Upkeep over the real store and catalog, a log in memory, and clocks that a test moves. */

export const HOUR_MS = 3_600_000;

export class Hands {
  wallUs: number;
  steadyMs = 1_000;

  constructor(wallUs: number) {
    this.wallUs = wallUs;
  }

  readonly clock = { nowUs: () => this.wallUs, monoMs: () => this.steadyMs };

  pass(ms: number): void {
    this.wallUs += ms * 1000;
    this.steadyMs += ms;
  }
}

class MemoryLog implements Log {
  stream = 'stream-1';
  readonly records: LogRecord[] = [];
  durable = 0;
  released = 0;
  rotations = 0;
  readonly health = { state: 'ok', damagedRecords: 0, bytes: 0, segments: 1 } as const;

  async append(payload: string): Promise<number> {
    this.durable += 1;
    this.records.push({ position: this.durable, payload });
    return this.durable;
  }

  async *read(after: number): AsyncGenerator<LogRecord> {
    for (const record of this.records) if (record.position > after) yield record;
  }

  async release(position: number): Promise<void> {
    this.released = Math.max(this.released, position);
  }

  async rotate(): Promise<void> {
    this.rotations += 1;
  }

  async close(): Promise<void> {}

  /** Another stream begins, at position 1. */
  forget(): void {
    this.stream += "'";
    this.records.length = 0;
    this.durable = this.released = 0;
  }
}

const DEFAULTS: UpkeepSettings = {
  compaction: true,
  compactEveryMs: 0,
  minFiles: 2,
  sweepEveryMs: 0,
  retentionDays: 0,
  erasureDeadlineMs: 4 * HOUR_MS,
  trustAfterMs: HOUR_MS,
};

export class UpkeepWorld {
  readonly hands: Hands;
  readonly log = new MemoryLog();
  readonly failures: string[] = [];
  readonly aside: string[] = [];
  readonly erased: string[] = [];
  readonly settings: UpkeepSettings;
  metadata: Metadata;
  store: ParquetStore;
  upkeep: Upkeep;
  deletions: Deletions;
  epochs: readonly Epoch[] = [];
  recent: Recent;
  recall: Recall;
  private deleted = 0;
  private flusher: Flusher;
  private ingest: Ingest;
  readonly dir: string;
  private readonly change: (catalog: Catalog) => Catalog;

  private constructor(dir: string, hands: Hands, options: WorldOptions) {
    this.dir = dir;
    this.hands = hands;
    this.settings = { ...DEFAULTS, ...options.settings };
    this.change = options.change ?? ((catalog) => catalog);
    this.metadata = this.store = this.upkeep = this.deletions = undefined as never;
    this.recent = this.recall = this.flusher = this.ingest = undefined as never;
  }

  static async open(wallUs: number, options: WorldOptions = {}): Promise<UpkeepWorld> {
    const dir = await mkdtemp(join(tmpdir(), 'upkeep-'));
    const world = new UpkeepWorld(dir, new Hands(wallUs), options);
    await world.start();
    return world;
  }

  /** What was not flushed is lost by it: flush before. */
  async reopen(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** The directory of the log is lost, and another stream begins. */
  async loseLog(): Promise<void> {
    await this.stop();
    this.log.forget();
    await this.start();
  }

  async close(): Promise<void> {
    await this.stop();
    await rm(this.dir, { recursive: true });
  }

  async write(events: readonly Event[]): Promise<void> {
    const position = await this.log.append('events');
    this.recent.add(position, { events, lines: joinRowLines(events.map(rowLine)) });
  }

  async flush(): Promise<void> {
    await this.flusher.flush();
  }

  /** Deletes and counts, with something done between the deletion and its count. */
  async delete(
    orgId: string,
    filter: EventFilter,
    between: () => Promise<void> = async () => undefined,
  ): Promise<number> {
    this.deleted += 1;
    const id = `era_${String(this.deleted).padStart(26, '0')}`;
    const nowUs = this.hands.wallUs;
    const draft = { id, orgId, filter, requestedUs: nowUs, deadlineUs: nowUs, doneUs: null };
    const done = await this.ingest.delete({ ...draft, state: 'accepted' }, null);
    const reader = { orgId, floorUs: null, kind: 'other' } as const;
    try {
      await between();
      const { deletion, before, flushedThrough } = done;
      const stored = await this.recall.countDeleted(reader, deletion, before, flushedThrough);
      return done.taken + stored.count;
    } finally {
      done.release();
    }
  }

  async all(orgId: string, floorUs: number | null = null): Promise<Event[]> {
    const reader = { orgId, floorUs, kind: 'list' } as const;
    const page = await this.recall.page(reader, { filter: {}, order: 'asc', limit: 10_000 });
    return page.events;
  }

  get pending(): Deletion[] {
    return [...this.deletions.all().values()].flat();
  }

  private async start(): Promise<void> {
    const { clock } = this.hands;
    this.metadata = await openSqliteMetadata({ path: join(this.dir, 'memtrace.db') });
    const catalog = this.change(this.metadata.catalog);
    this.store = await openParquetStore({
      dataDir: this.dir,
      catalog,
      duckdb: { memoryLimitBytes: 256 * 2 ** 20, threads: 1 },
      ulids: new UlidFactory(),
      clock,
    });
    const { log, store } = this;
    this.epochs = await catalog.beginStream(log.stream);
    this.recent = new Recent(clock, await catalog.position(log.stream));
    this.deletions = new Deletions(await this.metadata.deletions.active());
    for (const { orgId, newestUs } of await catalog.rowsGone()) {
      this.deletions.noteGone(orgId, newestUs);
    }
    const { recent, deletions } = this;
    const dedup = { seal: async () => null, commit: () => undefined } as never;
    const answers = { flushed: () => undefined } as never;
    const common = { clock, log, recent, deletions, answers, dedup };
    this.flusher = new Flusher({
      ...common,
      answerStore: this.metadata.answers,
      deletionStore: this.metadata.deletions,
      store,
      maxRows: 1e9,
      maxBytes: 1e12,
      maxAgeMs: 1e12,
      onFlushed: () => undefined,
      onFailed: () => undefined,
    });
    this.ingest = new Ingest({
      ...common,
      exists: async () => true,
      maxBufferedRows: 1e9,
      maxBufferedBytes: 1e12,
      onDuplicates: () => undefined,
      onWrites: () => undefined,
      onAppended: () => undefined,
    });
    const slots = new FairPool({ capacity: 4, maxWaiting: 100, maxWaitMs: 60_000 });
    const { stream } = log;
    const onQuery = () => undefined;
    const timeoutMs = 60_000;
    this.recall = new Recall({
      clock,
      recent,
      deletions,
      store,
      stream,
      slots,
      timeoutMs,
      onQuery,
    });
    this.upkeep = this.makeUpkeep(catalog);
  }

  private makeUpkeep(catalog: Catalog): Upkeep {
    const { deletions, orgs } = this.metadata;
    return new Upkeep({
      ...this,
      clock: this.hands.clock,
      metadata: { catalog, deletions, orgs, checkpoint: () => this.metadata.checkpoint() },
      flusher: this.flusher,
      observer: {
        merged: () => undefined,
        removed: () => undefined,
        erased: (id) => this.erased.push(id),
        failed: (job, error) => this.failures.push(`${job}: ${error}`),
        setAside: (key) => this.aside.push(key),
      },
    });
  }

  private async stop(): Promise<void> {
    this.upkeep.stop();
    await this.store.close();
    await this.upkeep.ended();
    await this.metadata.close();
  }
}

export interface WorldOptions {
  settings?: Partial<UpkeepSettings>;
  /** Puts something between everybody and the catalog. */
  change?: (catalog: Catalog) => Catalog;
}

/** The rows that are there, by a plain list. */
export class NaiveRows {
  rows: Event[] = [];

  delete(orgId: string, filter: EventFilter, nowUs: number): number {
    const gone = this.visible(orgId, nowUs).filter((event) => matches(event, filter));
    this.rows = this.rows.filter((row) => row.orgId !== orgId || !matches(row, filter));
    return gone.length;
  }

  visible(orgId: string, nowUs: number): Event[] {
    return this.rows
      .filter((row) => row.orgId === orgId && (row.expiresUs === null || row.expiresUs > nowUs))
      .sort((a, b) => a.timeUs - b.timeUs || (a.id < b.id ? -1 : 1));
  }
}

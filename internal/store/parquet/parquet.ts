import { mkdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../base/clock.js';
import type { UlidFactory } from '../../base/ulid.js';
import { Fault } from '../../fault/fault.js';
import type { Catalog, Partition, RowsGone } from '../../metadata/metadata.js';
import { LocalObjects } from '../../objects/local.js';
import type {
  SealedBatch,
  StatsQuery,
  Store,
  StoreHealth,
  StorePage,
  StoreQuery,
  StoreStats,
} from '../store.js';
import { Duck } from './duck.js';
import { DuckThread } from './duck-thread.js';
import { Reader } from './execute.js';
import { type FlushResult, FlushWriter } from './flush.js';
import { Garbage, RunningReads } from './garbage.js';
import { type Damage, Guard, type Verdict } from './guard.js';
import { Inspector } from './inspector.js';
import { type RewriteOrder, Rewriter, type Rewritten } from './rewrite.js';
import { type SweepReport, sweep, sweepTemporaries } from './sweep.js';
import { type VerifyOptions, type VerifyReport, verify } from './verify.js';

export interface ParquetStoreOptions {
  /** Holds events/; made if it is absent. */
  dataDir: string;
  /** For work in progress, on the same file system; default `<dataDir>/tmp`. */
  tmpDir?: string;
  catalog: Catalog;
  duckdb: {
    memoryLimitBytes: number;
    threads: number;
    /** Queries that run at once; default 4. */
    connections?: number;
  };
  ulids: UlidFactory;
  clock?: Clock;
  /** A file was put into quarantine (C6). */
  onDamage?: (damage: Damage) => void;
  onFlush?: (result: FlushResult & { ms: number }) => void;
  /** `kind` is that of the query, or `stats`. */
  onQuery?: (query: { kind: string; ms: number; ok: boolean }) => void;
}

const DEFAULT_CONNECTIONS = 4;

/** The embedded store: Parquet files by UTC day, named by a catalog, read with DuckDB. */
export interface ParquetStore extends Store {
  /** How many files the catalog names, by state. */
  readonly partitions: { readonly live: number; readonly quarantined: number };
  verify(options?: VerifyOptions): Promise<VerifyReport>;
  /** Compares the bytes of a file with its checksum, in the background; see guard.ts. */
  scrub(file: Partition, bytesPerSecond: number): Promise<Verdict>;
  /** Removes what crashes left; see sweep.ts. To be called after the start and now and then. */
  sweep(): Promise<SweepReport>;
  /** Makes one file of some without the rows that leave; see rewrite.ts. One at a time. */
  rewrite(order: RewriteOrder): Promise<Rewritten>;
  /** Takes away files all of whose rows leave. False if one of them is no longer live. */
  drop(files: readonly Partition[], gone: readonly RowsGone[]): Promise<boolean>;
  /** Gives up files in quarantine. False if one of them is not in it any more. */
  discard(files: readonly Partition[], gone: readonly RowsGone[]): Promise<boolean>;
  /** Deletes replaced files that no read needs; how many are left. */
  collectGarbage(): Promise<number>;
  /** No file that the catalog names from now on is deleted until the answer is called. */
  hold(): () => void;
  /** Resolves once queries need not wait for the engine to load. */
  ready(): Promise<void>;
}

/** Opens the store. DuckDB loads in the background; a first query waits for it. */
export async function openParquetStore(options: ParquetStoreOptions): Promise<ParquetStore> {
  const tmpDir = options.tmpDir ?? join(options.dataDir, 'tmp');
  await mkdir(tmpDir, { recursive: true });
  const objects = await LocalObjects.open(options.dataDir);
  await objects.makeFolder('events');
  const spill = join(await realpath(tmpDir), 'duckdb');
  // Of a process that is gone: only the holder of the data directory opens its store.
  for (const left of [spill, `${spill}-background`, `${spill}-flush`]) {
    await rm(left, { recursive: true, force: true });
  }
  await sweepTemporaries(tmpDir, Number.POSITIVE_INFINITY);
  const store = new EmbeddedStore(options, { objects, tmpDir: await realpath(tmpDir), spill });
  await store.countPartitions();
  return store;
}

interface Places {
  objects: LocalObjects;
  tmpDir: string;
  spill: string;
}

class EmbeddedStore implements ParquetStore {
  readonly partitions = { live: 0, quarantined: 0 };
  private readonly options: ParquetStoreOptions;
  private readonly places: Places;
  private readonly clock: Clock;
  private readonly duck: Duck;
  private readonly inspector = new Inspector();
  private readonly scrubber = new Inspector('background');
  private readonly guard: Guard;
  private readonly flusher: FlushWriter;
  private readonly flushThread: DuckThread;
  private readonly reader: Reader;
  private readonly garbage: Garbage;
  private readonly rewriter: Rewriter;
  /** What the last write said, or null after one that went well. */
  private writeFault: Fault | null = null;
  private closing = false;

  constructor(options: ParquetStoreOptions, places: Places) {
    this.options = options;
    this.places = places;
    this.clock = options.clock ?? systemClock;
    this.duck = openDuck(options, places);
    const { inspector, duck } = this;
    const { objects, tmpDir } = places;
    const { catalog, ulids } = options;
    const onDamage = (damage: Damage) => this.damaged(damage);
    this.guard = new Guard({ catalog, objects, inspector, onDamage });
    const { guard } = this;
    const ulid = () => ulids.next(Math.floor(this.clock.nowUs() / 1000));
    const trust = (id: string) => guard.trust(id);
    this.flushThread = openThread(options, places, { name: 'flush', nice: FLUSH_NICE });
    const thread = this.flushThread;
    const flushParts = { duck, thread, catalog, objects, inspector, tmpDir, ulid, trust };
    this.flusher = new FlushWriter(flushParts);
    const monoMs = () => this.clock.monoMs();
    const running = new RunningReads(monoMs);
    this.reader = new Reader({ duck, catalog, objects, guard, running });
    this.garbage = new Garbage({ catalog, objects, reads: running, monoMs });
    const { garbage } = this;
    const { inFlight } = this.flusher;
    const background = openThread(options, places, { name: 'background', nice: BACKGROUND_NICE });
    const rewriteParts = { catalog, objects, guard, garbage, tmpDir, ulid, inFlight };
    this.rewriter = new Rewriter({ ...rewriteParts, thread: background });
  }

  async write(batch: SealedBatch): Promise<void> {
    this.refuseAfterClose();
    const start = this.clock.monoMs();
    try {
      const result = await this.flusher.write(batch);
      this.writeFault = null;
      if (result === null) return;
      this.partitions.live += result.files;
      this.options.onFlush?.({ ...result, ms: this.clock.monoMs() - start });
    } catch (error) {
      this.writeFault = error instanceof Fault ? error : null;
      throw error;
    }
  }

  read(query: StoreQuery): Promise<StorePage> {
    return this.timed(query.kind, () => this.reader.page(query));
  }

  stats(query: StatsQuery): Promise<StoreStats> {
    return this.timed('stats', () => this.reader.stats(query));
  }

  position(stream: string): Promise<number> {
    return this.options.catalog.position(stream);
  }

  get health(): StoreHealth {
    const { quarantined } = this.partitions;
    if (this.writeFault !== null) return { state: 'degraded', detail: this.writeFault.message };
    if (quarantined === 0) return { state: 'ok' };
    return { state: 'degraded', detail: `${quarantined} damaged files in quarantine` };
  }

  verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    const { catalog } = this.options;
    return verify(
      { catalog, objects: this.places.objects, inFlight: this.flusher.inFlight },
      options,
    );
  }

  scrub(file: Partition, bytesPerSecond: number): Promise<Verdict> {
    this.refuseAfterClose();
    const look = (path: string) => this.scrubber.inspect(path, 'checksum', bytesPerSecond);
    return this.guard.scrub(file, look);
  }

  async sweep(): Promise<SweepReport> {
    const { inspector, places, flusher, options } = this;
    const report = await sweep({
      ...places,
      inspector,
      catalog: options.catalog,
      inFlight: flusher.inFlight,
      nowMs: () => this.clock.nowUs() / 1000,
    });
    await this.countPartitions();
    return report;
  }

  async rewrite(order: RewriteOrder): Promise<Rewritten> {
    this.refuseAfterClose();
    const done = await this.rewriter.rewrite(order);
    if (done.outcome === 'replaced') {
      this.partitions.live += (done.output === null ? 0 : 1) - done.inputs.length;
    }
    return done;
  }

  async drop(files: readonly Partition[], gone: readonly RowsGone[]): Promise<boolean> {
    this.refuseAfterClose();
    const done = await this.rewriter.drop(files, gone);
    if (done) this.partitions.live -= files.length;
    return done;
  }

  async discard(files: readonly Partition[], gone: readonly RowsGone[]): Promise<boolean> {
    this.refuseAfterClose();
    const ids = files.map(({ id }) => id);
    if (!(await this.options.catalog.discard(ids, gone))) return false;
    this.garbage.add(files.map(({ key }) => key));
    this.partitions.quarantined -= files.length;
    return true;
  }

  collectGarbage(): Promise<number> {
    return this.garbage.collect();
  }

  hold(): () => void {
    return this.garbage.hold();
  }

  ready(): Promise<void> {
    return this.duck.ready();
  }

  async countPartitions(): Promise<void> {
    const all = await this.options.catalog.partitions();
    this.partitions.live = all.filter(({ state }) => state === 'live').length;
    this.partitions.quarantined = all.length - this.partitions.live;
  }

  async close(): Promise<void> {
    this.closing = true;
    await this.rewriter.close();
    await this.flusher.idle();
    await this.flushThread.close();
    await this.duck.close();
    await this.inspector.close();
    await this.scrubber.close();
  }

  private damaged(damage: Damage): void {
    this.partitions.live -= 1;
    this.partitions.quarantined += 1;
    this.options.onDamage?.(damage);
  }

  private async timed<T>(kind: string, run: () => Promise<T>): Promise<T> {
    this.refuseAfterClose();
    const start = this.clock.monoMs();
    let ok = false;
    try {
      const result = await run();
      ok = true;
      return result;
    } finally {
      this.options.onQuery?.({ kind, ms: this.clock.monoMs() - start, ok });
    }
  }

  private refuseAfterClose(): void {
    if (this.closing) throw new Fault('draining', 'the server is shutting down');
  }
}

/** Within this a thread sorts; beyond it, it spills. */
const THREAD_MEMORY = 256 * 2 ** 20;
/** Upkeep can wait; a flush gives way to writers, but what it lags behind fills the memory. */
const BACKGROUND_NICE = 10;
const FLUSH_NICE = 5;

function openThread(
  { duckdb }: ParquetStoreOptions,
  places: Places,
  { name, nice }: { name: string; nice: number },
): DuckThread {
  const { objects, tmpDir, spill } = places;
  const options = {
    memoryLimitBytes: Math.min(THREAD_MEMORY, duckdb.memoryLimitBytes),
    directories: [objects.root, tmpDir],
    spillDirectory: `${spill}-${name}`,
  };
  return new DuckThread(options, nice);
}

function openDuck({ duckdb }: ParquetStoreOptions, places: Places): Duck {
  const { objects, tmpDir, spill } = places;
  return new Duck({
    memoryLimitBytes: duckdb.memoryLimitBytes,
    threads: duckdb.threads,
    maxConcurrent: duckdb.connections ?? DEFAULT_CONNECTIONS,
    directories: [objects.root, tmpDir],
    spillDirectory: spill,
  });
}

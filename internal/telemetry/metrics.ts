import { CounterCell, Family, HistogramCell, type Metric, type ReadGauge } from './cells.js';
import type { Exposition } from './exposition.js';
import { LoopLag } from './lag.js';

/** The gauges that other rooms give a callback for, each with its help text. */
const GAUGES = {
  memtrace_buffer_size: 'Acknowledged rows not yet flushed.',
  memtrace_buffer_bytes: 'Bytes of acknowledged rows not yet flushed.',
  memtrace_oldest_unflushed_seconds: 'Age of the oldest row not yet flushed; 0 without one.',
  memtrace_inflight_bytes: 'Bytes of request bodies being worked on.',
  memtrace_wal_bytes: 'Bytes of the write-ahead log on disk, preallocated space included.',
  memtrace_wal_segments: 'Files of the write-ahead log.',
  memtrace_partitions: 'Parquet files in the catalog.',
  memtrace_partitions_quarantined: 'Damaged Parquet files that reads leave out.',
  memtrace_compaction_debt_files: 'Small Parquet files that wait to be merged.',
  memtrace_compaction_debt_bytes: 'Bytes of the files that wait to be merged.',
  memtrace_compaction_set_aside_files: 'Files that no merge takes any more: they made it fail.',
  memtrace_erasures_pending: 'Erasures whose bytes may still be on the disk.',
  memtrace_erasures_blocked_files: 'Damaged files in quarantine that hold up erasures.',
  memtrace_erasure_oldest_seconds: 'Age of the oldest erasure that is not done; 0 without one.',
  memtrace_backup_last_success_timestamp_seconds:
    'When the newest backup in the target was begun; 0 without one, absent without a target.',
  memtrace_backup_last_size_bytes: 'Bytes of the files that the newest backup names.',
  memtrace_backup_wal_lag_seconds:
    'Age of the oldest durable record that is not in the target yet; 0 if all are.',
  memtrace_backup_unshipped_bytes: 'Bytes of the log that are not in the target yet.',
  memtrace_scrub_oldest_seconds:
    'How long ago the file was read that the scrubber waits with the longest; 0 without a file.',
  memtrace_queries_running: 'Queries being executed.',
  memtrace_queries_queued: 'Queries waiting for a place.',
  memtrace_ready: '1 ready, 0.5 degraded, 0 not ready, as /ready says.',
  memtrace_memory_limit_bytes: 'Memory of the container, or of the machine.',
  memtrace_disk_free_bytes: 'Free space of the file system of the data directory.',
  memtrace_disk_size_bytes: 'Size of the file system of the data directory.',
} as const;

export type GaugeName = keyof typeof GAUGES;

/** Kinds of read requests and of the queries behind them. */
export type QueryKind = 'list' | 'get' | 'search' | 'context' | 'stats' | 'export' | 'other';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

const HTTP_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const FSYNC_S = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5];
const QUERY_S = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
const FLUSH_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * The figures of one server. No label ever holds an organization, agent, session or key, and every
 * metric has a bounded number of label sets.
 */
export class Metrics {
  private readonly all: Metric[] = [];
  private readonly gauges = new Map<GaugeName, () => number>();
  private readonly lag = new LoopLag();
  private exposition: Promise<Exposition> | null = null;

  private readonly writes = this.counter('memtrace_writes_total', 'Acknowledged events.');
  private readonly queries = this.counters(
    'memtrace_queries_total',
    'Read requests by kind.',
    'kind',
  );
  private readonly dedup = this.counter(
    'memtrace_dedup_hits_total',
    'Events that were already stored.',
  );
  private readonly rejections = this.counters(
    'memtrace_rejected_total',
    'Requests answered with an error, by its code.',
    'reason',
  );
  private readonly http = this.histograms(
    'memtrace_http_request_duration_seconds',
    'HTTP requests by route template.',
    { labels: ['route', 'method', 'status'], bounds: HTTP_S, maxCells: 1_000 },
  );
  private readonly query = this.histograms(
    'memtrace_query_duration_seconds',
    'Queries of the store by kind.',
    { labels: ['kind'], bounds: QUERY_S, maxCells: 32 },
  );
  private readonly fsync = this.histograms(
    'memtrace_wal_fsync_duration_seconds',
    'Syncs of the write-ahead log.',
    { labels: [], bounds: FSYNC_S, maxCells: 1 },
  ).at();
  private readonly flush = this.histograms(
    'memtrace_flush_duration_seconds',
    'Flushes of the buffer that succeeded.',
    { labels: [], bounds: FLUSH_S, maxCells: 1 },
  ).at();
  private readonly flushFailures = this.counter(
    'memtrace_flush_failures_total',
    'Flushes that failed and will be tried anew.',
  );
  private readonly flushedRows = this.counter(
    'memtrace_flushed_rows_total',
    'Rows that were flushed.',
  );
  private readonly damaged = this.counter(
    'memtrace_wal_damaged_records_total',
    'Damaged records of the write-ahead log put into quarantine.',
  );

  private readonly compactions = this.counter(
    'memtrace_compaction_runs_total',
    'Merges of small Parquet files.',
  );
  private readonly compactionFailures = this.counter(
    'memtrace_compaction_failures_total',
    'Merges that failed.',
  );
  private readonly compactionIn = this.counter(
    'memtrace_compaction_bytes_in_total',
    'Bytes of the files that were merged.',
  );
  private readonly compactionOut = this.counter(
    'memtrace_compaction_bytes_out_total',
    'Bytes of the files that merges made.',
  );

  private readonly scrubbedBytes = this.counter(
    'memtrace_scrub_bytes_total',
    'Bytes of Parquet files that were read again to find damage.',
  );
  private readonly scrubDamaged = this.counter(
    'memtrace_scrub_damaged_files_total',
    'Damaged Parquet files that were found by reading them again.',
  );

  private readonly backupFailures = this.counter(
    'memtrace_backup_failures_total',
    'Backups, and shipments of the log, that failed.',
  );
  private readonly backupGaps = this.counter(
    'memtrace_backup_wal_gaps_total',
    'Times that records of the log went without having been sent to the target.',
  );

  /** @param version the version of the program, for memtrace_build_info */
  constructor(version: string) {
    for (const [name, help] of Object.entries(GAUGES)) {
      this.gauge(name, help, { labels: [], read: () => this.readGauge(name as GaugeName) });
    }
    this.gauge('memtrace_event_loop_lag_seconds', 'Lag of the event loop since the last scrape.', {
      labels: ['quantile'],
      read: () => this.readLag(),
    });
    this.gauge('memtrace_build_info', 'Always 1; the labels say what runs.', {
      labels: ['version'],
      read: () => [{ labels: { version }, value: 1 }],
    });
  }

  /** A file was read again; `damaged`: it was put into quarantine. */
  scrubbed(bytes: number, damaged: boolean): void {
    this.scrubbedBytes.add(bytes);
    if (damaged) this.scrubDamaged.add();
  }

  /** So many events were acknowledged. */
  wrote(events: number): void {
    this.writes.add(events);
  }

  /** One read request was answered. */
  queried(kind: QueryKind): void {
    this.queries.at(kind).add();
  }

  /** One query of the store took so long. */
  queryTook(kind: QueryKind, seconds: number): void {
    this.query.at(kind).observe(seconds);
  }

  /** So many events were found to be stored already. */
  dedupHit(events = 1): void {
    this.dedup.add(events);
  }

  /** One request was answered with an error. @param reason the code of the fault */
  rejected(reason: string): void {
    this.rejections.at(reason).add();
  }

  /**
   * From now on these reasons are shown, at 0: a counter that begins at 1 has no first increase.
   */
  expectRejections(reasons: readonly string[]): void {
    for (const reason of reasons) this.rejections.at(reason);
  }

  /** @param route the template, e.g. `/api/v1/agents/:id`; null if none matched */
  httpDone(route: string | null, method: string, status: number, seconds: number): void {
    const known = METHODS.has(method) ? method : 'other';
    this.http.at(route ?? 'unmatched', known, String(status)).observe(seconds);
  }

  walSynced(seconds: number): void {
    this.fsync.observe(seconds);
  }

  walDamaged(records = 1): void {
    this.damaged.add(records);
  }

  flushed(rows: number, seconds: number): void {
    this.flushedRows.add(rows);
    this.flush.observe(seconds);
  }

  flushFailed(): void {
    this.flushFailures.add();
  }

  /** Small files became one. */
  compacted(bytesIn: number, bytesOut: number): void {
    this.compactions.add();
    this.compactionIn.add(bytesIn);
    this.compactionOut.add(bytesOut);
  }

  compactionFailed(): void {
    this.compactionFailures.add();
  }

  /** A backup, or a shipment of the log, failed. */
  backupFailed(): void {
    this.backupFailures.add();
  }

  /** Records of the log are not in the target and will not be: the next backup has them. */
  backupGap(): void {
    this.backupGaps.add();
  }

  /** From now on `read` tells the value of a gauge at each scrape; without one it has no sample. */
  observe(name: GaugeName, read: () => number): void {
    this.gauges.set(name, read);
  }

  /** Everything as Prometheus reads it. The first call loads prom-client (30 ms). */
  async render(): Promise<{ text: string; contentType: string }> {
    this.exposition ??= import('./exposition.js').then(({ expose }) => expose(this.all));
    const exposition = await this.exposition;
    return { text: await exposition.text(), contentType: exposition.contentType };
  }

  close(): void {
    this.lag.close();
  }

  private counter(name: string, help: string): CounterCell {
    const family = new Family([], 1, () => new CounterCell());
    this.all.push({ type: 'counter', name, help, family });
    return family.at();
  }

  private counters(name: string, help: string, label: string): Family<CounterCell> {
    const family = new Family([label], 64, () => new CounterCell());
    this.all.push({ type: 'counter', name, help, family });
    return family;
  }

  private histograms(name: string, help: string, shape: HistogramShape): Family<HistogramCell> {
    const { labels, bounds, maxCells } = shape;
    const family = new Family(labels, maxCells, () => new HistogramCell(bounds));
    this.all.push({ type: 'histogram', name, help, family });
    return family;
  }

  private gauge(name: string, help: string, shape: GaugeShape): void {
    this.all.push({ type: 'gauge', name, help, labelNames: shape.labels, read: shape.read });
  }

  /** A gauge that fails costs its sample, not the whole answer. */
  private readGauge(name: GaugeName): ReturnType<ReadGauge> {
    try {
      const value = this.gauges.get(name)?.();
      return value === undefined ? [] : [{ labels: {}, value }];
    } catch {
      return [];
    }
  }

  private readLag(): ReturnType<ReadGauge> {
    const { p50S, p99S, maxS } = this.lag.take();
    return [
      { labels: { quantile: '0.5' }, value: p50S },
      { labels: { quantile: '0.99' }, value: p99S },
      { labels: { quantile: '1' }, value: maxS },
    ];
  }
}

interface HistogramShape {
  readonly labels: readonly string[];
  /** Upper bounds of the buckets in seconds. */
  readonly bounds: readonly number[];
  readonly maxCells: number;
}

interface GaugeShape {
  readonly labels: readonly string[];
  readonly read: ReadGauge;
}

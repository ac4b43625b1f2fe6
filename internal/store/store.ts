import type { Event, EventFilter, EventTimes, Order, Place } from '../event/event.js';
import type { Deletion } from '../metadata/metadata.js';

/**
 * A store holds events for good. Contract (held by store.suite.ts for every implementation):
 *
 * - `write` makes one sealed batch durable and visible in one step, idempotent by its positions:
 *   the same batch again (after a crash) changes nothing.
 * - `read` and `stats` answer from ONE snapshot and say up to which log position it covers
 *   (`through`), so that the caller adds exactly the younger events itself.
 * - Rows that a deletion covers, that expired by `nowUs`, or older than `floorUs` are never seen.
 * - A failure is a rejection, never a part of the rows. Damaged files that were left out are said.
 */
export interface Store {
  write(batch: SealedBatch): Promise<void>;
  read(query: StoreQuery): Promise<StorePage>;
  stats(query: StatsQuery): Promise<StoreStats>;
  /** The position of the stream up to which the store is durable and visible. */
  position(stream: string): Promise<number>;
  readonly health: StoreHealth;
  close(): Promise<void>;
}

/** Consecutive log records, sealed together. */
export interface SealedBatch {
  stream: string;
  /** The batch covers the records after `from` up to `to`. */
  from: number;
  to: number;
  /** In any order; deleted ones already left out. */
  events: readonly EventTimes[];
  /** Their row lines (event/json.ts), each with its line feed, in pieces of any size. */
  lines: Iterable<Buffer>;
  /** No line has more bytes than this. */
  longestLine: number;
  /** Run of deduplication keys to become visible in the same transaction. */
  dedupRun: import('../metadata/metadata.js').DedupRunRow | null;
}

/** What decides whether a stored row is still there. */
export interface Visibility {
  /** Rows with expires_at <= nowUs are gone. */
  nowUs: number;
  /** Rows with time < floorUs are beyond the retention; null = no retention. */
  floorUs: number | null;
  /** The organization's deletions, by id; those that cannot touch a file cost nothing. */
  deletions: readonly Deletion[];
}

/** A position of the stream that is written now. */
export interface StreamPosition {
  stream: string;
  position: number;
}

export interface StoreQuery {
  orgId: string;
  filter: EventFilter;
  visibility: Visibility;
  order: Order;
  /** Only rows strictly after this place in the order. */
  after?: Place;
  /** At most so many rows. */
  limit: number;
  /** Only rows of records up to this position (a deletion counts what it covers). */
  upTo?: StreamPosition;
  signal?: AbortSignal;
  /**
   * If it is this that aborted `signal`, and a part of the order was looked at, the page of that
   * part is the answer (`searchedUs`) instead of a rejection.
   */
  deadline?: AbortSignal;
  /** For the metric and the slow log: list, get, search, context, export … */
  kind: string;
  /**
   * `context`: only what a session context shows (time, id, types, content, metadata, importance);
   * other members may come back empty, which reads less. Default `all`.
   */
  fields?: 'all' | 'context';
}

export interface StorePage {
  events: Event[];
  /** By stream: the log position up to which the snapshot covers. */
  through: Record<string, number>;
  /** Present if a quarantined file would have been read. */
  incomplete?: Incomplete;
  /**
   * Present if the deadline came first: events up to this time in the order, it included, were all
   * looked at, and `events` has what was found there.
   */
  searchedUs?: number;
}

/** Damaged files that an answer had to leave out. */
export interface Incomplete {
  files: number;
  /** Partitions of the catalog: two answers may have left out the same. */
  fileIds: readonly string[];
  sinceUs: number;
  untilUs: number;
}

export interface StatsQuery {
  orgId: string;
  filter: EventFilter;
  visibility: Visibility;
  upTo?: StreamPosition;
  signal?: AbortSignal;
}

export interface StoreStats {
  count: number;
  errors: number;
  byType: Record<string, number>;
  /** Newest event time, or null if there is no row. */
  lastUs: number | null;
  through: Record<string, number>;
  incomplete?: Incomplete;
}

export interface StoreHealth {
  state: 'ok' | 'degraded' | 'unavailable';
  detail?: string;
}

import type { Clock } from '../base/clock.js';
import { type FairPool, PoolRefused, type PoolTicket } from '../base/fair-pool.js';
import { decodeMs } from '../base/ulid.js';
import type { Event, EventFilter, Order, Place } from '../event/event.js';
import { compareEvents } from '../event/filter.js';
import { Fault } from '../fault/fault.js';
import type { Deletion } from '../metadata/metadata.js';
import type { Deletions } from '../recent/deletions.js';
import type { Recent } from '../recent/recent.js';
import type { RecentRow } from '../recent/row.js';
import { bothIncomplete } from '../store/incomplete.js';
import type { Incomplete, Store, Visibility } from '../store/store.js';
import type { QueryKind } from '../telemetry/metrics.js';

/**
 * The way out: recent and store as one snapshot.
 *
 * The recent rows are taken first, then the store's snapshot, and recent rows that the snapshot
 * covers are left out: so each row comes from exactly one side whatever is flushed meanwhile. (The
 * other order would lose the rows of a flush in between.)
 */
export interface RecallParts {
  clock: Clock;
  recent: Recent;
  deletions: Deletions;
  store: Store;
  /** The log stream whose rows `recent` holds. */
  stream: string;
  slots: FairPool;
  timeoutMs: number;
  onQuery(kind: QueryKind, ms: number): void;
}

/** Whose rows, and what of them still counts. */
export interface Reader {
  orgId: string;
  /** Events before this time are beyond the organization's retention; null = none. */
  floorUs: number | null;
  signal?: AbortSignal;
  kind: QueryKind;
}

export interface PageQuery {
  filter: EventFilter;
  order: Order;
  after?: Place;
  limit: number;
  offset?: number;
  /** `context`: only the members that a context shows; the others are empty. */
  fields?: 'all' | 'context';
  /** At the time limit, what was looked at until then is the answer (`searchedUs`). */
  partial?: boolean;
}

export interface Page {
  events: Event[];
  /** Exact: whether another event follows. */
  hasMore: boolean;
  incomplete?: Incomplete;
  /**
   * Present if the time was over first: events up to this time in the order, it included, were
   * looked at. `hasMore` is true then, and the next page begins after `placeAfter`.
   */
  searchedUs?: number;
}

/** The place behind every event of that time: ids lie between the two characters. */
export function placeAfter(timeUs: number, order: Order): Place {
  return { timeUs, id: order === 'desc' ? '!' : '~' };
}

export interface Stats {
  count: number;
  errors: number;
  byType: Record<string, number>;
  lastUs: number | null;
  incomplete?: Incomplete;
}

/** When an agent was last active, as far as files can be read. */
export interface LastEvent {
  lastUs: number | null;
  incomplete?: Incomplete;
}

/** Rows that an offset skips at a time. */
const SKIP_ROWS = 1_000;

export class Recall {
  private readonly parts: RecallParts;

  constructor(parts: RecallParts) {
    this.parts = parts;
  }

  /**
   * One page of what matches. Rejects with `query_timeout`, `overloaded` or `store_unavailable`.
   */
  page(reader: Reader, query: PageQuery): Promise<Page> {
    return this.within(reader, async (signal, timeout) => {
      let { after, offset = 0 } = query;
      let skipped: Incomplete | undefined;
      // A deep offset is walked in pages, so that its cost is time and never memory.
      while (offset > SKIP_ROWS) {
        const skip = { ...query, after, limit: SKIP_ROWS };
        const page = await this.readPage(reader, { ...skip, offset: 0 }, { signal });
        skipped = bothIncomplete(skipped, page.incomplete);
        if (!page.hasMore) return { events: [], hasMore: false, incomplete: skipped };
        after = page.events[page.events.length - 1];
        offset -= SKIP_ROWS;
      }
      // A part of what an offset skips has no place to go on from.
      const deadline = query.partial === true && (query.offset ?? 0) === 0 ? timeout : undefined;
      const page = await this.readPage(reader, { ...query, after, offset }, { signal, deadline });
      return { ...page, incomplete: bothIncomplete(skipped, page.incomplete) };
    });
  }

  /**
   * The event of an id, or null. Rejects with `memory_unreadable` if it may be in a damaged file:
   * that it is not there would be a guess.
   */
  async get(reader: Reader, id: string): Promise<Event | null> {
    const found = await this.find(reader, id);
    if (found === 'unreadable') throw unreadable();
    return found;
  }

  /** The event of an id, null, or `unreadable` if it may be in a damaged file. */
  async find(reader: Reader, id: string): Promise<Event | null | 'unreadable'> {
    if (decodeMs(id.slice(4)) === null || !id.startsWith('mem_')) return null;
    const nowUs = this.parts.clock.nowUs();
    const row = this.parts.recent.find(reader.orgId, id);
    if (row !== undefined) return readable(row, nowUs, reader.floorUs) ? row.event : null;
    const page = await this.page(reader, { filter: { ids: [id] }, order: 'desc', limit: 1 });
    const event = page.events[0] ?? null;
    if (event !== null || page.incomplete === undefined) return event;
    const erased = this.parts.deletions.forOrg(reader.orgId).some(({ filter }) => {
      return filter.ids?.includes(id) === true;
    });
    return erased ? null : 'unreadable';
  }

  /** Counts of what matches, exact unless they say that they are incomplete. */
  stats(reader: Reader, filter: EventFilter): Promise<Stats> {
    return this.within(reader, async (signal) => {
      const { recent, store, deletions, stream } = this.parts;
      const nowUs = this.parts.clock.nowUs();
      const { orgId, floorUs } = reader;
      const rows = await recent.collect({ orgId, filter, nowUs, floorUs, signal });
      const visibility: Visibility = { nowUs, floorUs, deletions: deletions.forOrg(orgId) };
      const stored = await store.stats({ orgId, filter, visibility, signal });
      const through = stored.through[stream] ?? 0;
      const result: Stats = { ...stored, byType: { ...stored.byType } };
      for (const row of rows) if (row.position > through) count(result, row);
      return result;
    });
  }

  /**
   * How many stored events a deletion took: those that were in the store, not in the recent
   * buffer, when it became durable, and that no earlier deletion had taken.
   */
  countDeleted(
    reader: Reader,
    deletion: Deletion,
    before: readonly Deletion[],
    flushedThrough: number,
  ): Promise<Pick<Stats, 'count' | 'incomplete'>> {
    return this.within(reader, async (signal) => {
      const { orgId, floorUs } = reader;
      const visibility = { nowUs: this.parts.clock.nowUs(), floorUs, deletions: before };
      const { filter } = deletion;
      const upTo = { stream: this.parts.stream, position: flushedThrough };
      const query = { orgId, filter, visibility, upTo, signal };
      const { count: stored, incomplete } = await this.parts.store.stats(query);
      return { count: stored, incomplete };
    });
  }

  /** By agent id: the newest event time that can still be read. Ids without any are absent. */
  async lastEvents(reader: Reader, agentIds: readonly string[]): Promise<Map<string, LastEvent>> {
    const last = new Map<string, LastEvent>();
    for (const agentId of new Set(agentIds)) {
      const { lastUs, incomplete } = await this.stats(reader, { agentIds: [agentId] });
      // What was left out matters only if it may be newer.
      const newer = incomplete !== undefined && incomplete.untilUs > (lastUs ?? 0);
      if (lastUs !== null || newer) last.set(agentId, newer ? { lastUs, incomplete } : { lastUs });
    }
    return last;
  }

  private async readPage(
    reader: Reader,
    query: PageQuery & { offset: number },
    until: { signal: AbortSignal; deadline?: AbortSignal },
  ): Promise<Page> {
    const { recent, store, deletions, stream } = this.parts;
    const { filter, order, after, fields, offset } = query;
    const { orgId, floorUs, kind } = reader;
    const nowUs = this.parts.clock.nowUs();
    const limit = offset + query.limit + 1;
    const visibility: Visibility = { nowUs, floorUs, deletions: deletions.forOrg(orgId) };
    const scope = { orgId, filter, order, after, limit, signal: until.signal };
    const rows = await recent.select({ ...scope, nowUs, floorUs });
    const { deadline } = until;
    const stored = await store.read({ ...scope, deadline, visibility, kind, fields });
    const through = stored.through[stream] ?? 0;
    const { searchedUs } = stored;
    const fresh = rows
      .filter(({ position, event }) => position > through && reached(event, order, searchedUs))
      .map(({ event }) => event);
    const merged = mergeSorted(fresh, stored.events, compareEvents(order));
    return {
      events: merged.slice(offset, offset + query.limit),
      hasMore: searchedUs !== undefined || merged.length > offset + query.limit,
      incomplete: stored.incomplete,
      // A page that is full before that place goes on after its last event, as ever.
      ...(searchedUs === undefined || merged.length > query.limit ? {} : { searchedUs }),
    };
  }

  /** Runs a query in a slot, under the time limit and the caller's own signal. */
  private async within<T>(
    reader: Reader,
    run: (signal: AbortSignal, timeout: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const start = this.parts.clock.monoMs();
    const timeout = AbortSignal.timeout(this.parts.timeoutMs);
    const signal = reader.signal === undefined ? timeout : anyOf(reader.signal, timeout);
    let ticket: PoolTicket | null = null;
    try {
      ticket = await this.parts.slots.take(reader.orgId, 1, signal);
      return await run(signal, timeout);
    } catch (error) {
      throw this.explain(error, reader, timeout);
    } finally {
      ticket?.release();
      this.parts.onQuery(reader.kind, this.parts.clock.monoMs() - start);
    }
  }

  private explain(error: unknown, reader: Reader, timeout: AbortSignal): unknown {
    if (reader.signal?.aborted) {
      return new Fault('client_closed_request', 'the client went away', { cause: error });
    }
    if (timeout.aborted) {
      return new Fault('query_timeout', 'the query took too long and was stopped', {
        hint: 'narrow it with since, until, agent_id or session_id',
        retryAfterS: 1,
        cause: error,
      });
    }
    if (error instanceof PoolRefused) {
      const message = 'too many queries are running';
      return new Fault('overloaded', message, { retryAfterS: 1, cause: error });
    }
    return error;
  }
}

function unreadable(): Fault {
  const message = 'this memory may be in a damaged file of the server, which cannot be read';
  const hint = 'the operator finds it with memtrace verify; a retry alone does not help';
  return new Fault('memory_unreadable', message, { hint });
}

function anyOf(first: AbortSignal, second: AbortSignal): AbortSignal {
  return AbortSignal.any([first, second]);
}

function readable(row: RecentRow, nowUs: number, floorUs: number | null): boolean {
  const { expiresUs, timeUs } = row;
  if (row.deleted || (expiresUs !== null && expiresUs <= nowUs)) return false;
  return floorUs === null || timeUs >= floorUs;
}

/** Whether the event lies in the part of the order that the store has looked at. */
function reached({ timeUs }: Event, order: Order, searchedUs: number | undefined): boolean {
  if (searchedUs === undefined) return true;
  return order === 'desc' ? timeUs >= searchedUs : timeUs <= searchedUs;
}

function count(stats: Stats, event: Pick<Event, 'timeUs' | 'memoryType' | 'eventType'>): void {
  stats.count += 1;
  stats.byType[event.memoryType] = (stats.byType[event.memoryType] ?? 0) + 1;
  if (event.eventType === 'error') stats.errors += 1;
  stats.lastUs = Math.max(stats.lastUs ?? event.timeUs, event.timeUs);
}

/** Both inputs sorted; equal elements cannot occur, as ids are unique. */
function mergeSorted(
  left: readonly Event[],
  right: readonly Event[],
  compare: (a: Event, b: Event) => number,
): Event[] {
  if (left.length === 0) return [...right];
  const merged: Event[] = [];
  let l = 0;
  let r = 0;
  while (l < left.length && r < right.length) {
    merged.push(compare(left[l], right[r]) <= 0 ? left[l++] : right[r++]);
  }
  while (l < left.length) merged.push(left[l++]);
  while (r < right.length) merged.push(right[r++]);
  return merged;
}

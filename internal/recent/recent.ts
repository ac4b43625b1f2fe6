import type { Clock } from '../base/clock.js';
import type { Event, EventFilter, EventTimes, Order, Place } from '../event/event.js';
import { comesAfter, matches } from '../event/filter.js';
import type { RowLines } from '../event/rowlines.js';
import type { Answer, Deletion } from '../metadata/metadata.js';
import { Generation } from './generation.js';
import type { RecentRow } from './row.js';
import { TopRows } from './top.js';

/**
 * Acknowledged events that are not in the store yet: what reads add to the store's rows, so that
 * every read sees every acknowledged write (read-your-writes). Fed by the log, in its order.
 *
 * Invariant: generations are consecutive; the oldest begins where the store ends.
 */
export interface RecentRecord {
  events: readonly Event[];
  lines: RowLines;
  answer?: Answer;
}

export interface RecentQuery {
  orgId: string;
  filter: EventFilter;
  nowUs: number;
  floorUs: number | null;
  order: Order;
  after?: Place;
  limit: number;
  signal?: AbortSignal;
}

/** How long a scan may hold the event loop before it lets others run, in milliseconds. */
const SLICE_MS = 4;
const ROWS_PER_CLOCK_LOOK = 64;

export class Recent {
  private readonly clock: Clock;
  private active: Generation;
  private readonly sealed: Generation[] = [];
  private sealedRows = 0;
  private sealedBytes = 0;

  /** @param position up to which the store already covers the log */
  constructor(clock: Clock, position: number) {
    this.clock = clock;
    this.active = new Generation(position);
  }

  /** The newest position taken in. */
  get position(): number {
    return this.active.to;
  }

  /** The position up to which rows have left for the store. */
  get flushedThrough(): number {
    return (this.sealed[0] ?? this.active).from;
  }

  /** Rows held, deleted ones included. */
  get rows(): number {
    return this.sealedRows + this.active.rows;
  }

  /** About the bytes of memory held. */
  get bytes(): number {
    return this.sealedBytes + this.active.bytes;
  }

  get activeRows(): number {
    return this.active.rows;
  }

  get activeBytes(): number {
    return this.active.bytes;
  }

  /** Milliseconds since the oldest record came that has not been flushed; 0 if there is none. */
  get oldestAgeMs(): number {
    const opened = (this.sealed[0] ?? this.active).openedMs;
    return opened === null ? 0 : this.clock.monoMs() - opened;
  }

  /**
   * Takes in a durable record: its events and their row lines, which are copied; the events need
   * not be kept. Positions come in order, one record a call.
   */
  add(position: number, { events, lines, answer }: RecentRecord): void {
    this.advance(position);
    this.active.add(events, lines, position);
    if (answer !== undefined) this.active.answers.push(answer);
  }

  /**
   * Takes in a durable deletion: rows up to its position that match vanish at once.
   * @returns how many rows that a read could see it took
   */
  delete(deletion: Deletion, nowUs: number, floorUs: number | null): number {
    this.advance(deletion.position);
    this.active.deletions.push(deletion);
    let taken = 0;
    for (const generation of this.generations()) {
      const row = generation.row();
      for (const index of candidates(generation, deletion.orgId, deletion.filter)) {
        row.index = index;
        if (row.deleted || !matches(row, deletion.filter)) continue;
        generation.markDeleted(index);
        if (visible(row, nowUs, floorUs)) taken += 1;
      }
    }
    return taken;
  }

  /** Closes the active generation for the flush; null if nothing came. */
  seal(): Generation | null {
    if (this.active.empty) return null;
    const generation = this.active;
    this.sealed.push(generation);
    this.sealedRows += generation.rows;
    this.sealedBytes += generation.bytes;
    this.active = new Generation(generation.to);
    return generation;
  }

  /** Sealed generations, oldest first. */
  get waiting(): readonly Generation[] {
    return this.sealed;
  }

  /** The store has everything up to `position`. */
  drop(position: number): void {
    while (this.sealed.length > 0 && this.sealed[0].to <= position) {
      this.sealedRows -= this.sealed[0].rows;
      this.sealedBytes -= this.sealed[0].bytes;
      this.sealed.shift();
    }
  }

  /** The row of an id, deleted or not. */
  find(orgId: string, id: string): RecentRow | undefined {
    for (const generation of this.generations()) {
      const index = generation.find(id);
      if (index === undefined) continue;
      const row = generation.row(index);
      if (row.orgId === orgId) return row;
    }
    return undefined;
  }

  /** The first `limit` matching rows in the order, of what was there at the call. */
  async select(query: RecentQuery): Promise<RecentRow[]> {
    const top = new TopRows(query.limit, query.order);
    const { after, order } = query;
    await this.scan(query, (row) => {
      if (after !== undefined && !comesAfter(row, after, order)) return;
      top.offer(row);
    });
    return top.rows;
  }

  /** All matching rows of what was there at the call, in no order. */
  async collect(query: Omit<RecentQuery, 'order' | 'after' | 'limit'>): Promise<RecentRow[]> {
    const rows: RecentRow[] = [];
    await this.scan(query, (row) => rows.push(row.kept()));
    return rows;
  }

  private async scan(
    query: Omit<RecentQuery, 'order' | 'after' | 'limit'>,
    take: (row: RecentRow) => void,
  ): Promise<void> {
    // Arrays only grow: their lengths now are the snapshot.
    const lists = this.generations().map((generation) => {
      const rows = candidates(generation, query.orgId, query.filter);
      return { row: generation.row(), rows, length: rows.length };
    });
    let sliceStart = this.clock.monoMs();
    for (const { row, rows, length } of lists.reverse()) {
      // Newest first: rows mostly come in order, so the top fills at once and the rest fails
      // quickly.
      for (let i = length - 1; i >= 0; i--) {
        row.index = rows[i];
        const isThere = !row.deleted && visible(row, query.nowUs, query.floorUs);
        if (isThere && matches(row, query.filter)) take(row);
        if (i % ROWS_PER_CLOCK_LOOK === 0 && this.clock.monoMs() - sliceStart > SLICE_MS) {
          await new Promise(setImmediate);
          query.signal?.throwIfAborted();
          sliceStart = this.clock.monoMs();
        }
      }
    }
  }

  private generations(): Generation[] {
    return [...this.sealed, this.active];
  }

  private advance(position: number): void {
    this.active.openedMs ??= this.clock.monoMs();
    this.active.to = position;
  }
}

function visible(
  { expiresUs, timeUs }: EventTimes,
  nowUs: number,
  floorUs: number | null,
): boolean {
  if (expiresUs !== null && expiresUs <= nowUs) return false;
  return floorUs === null || timeUs >= floorUs;
}

const NONE: number[] = [];

/** The shortest list of one generation that holds every row the filter can select. */
function candidates(generation: Generation, orgId: string, filter: EventFilter): number[] {
  const org = generation.orgs.get(orgId);
  if (org === undefined) return NONE;
  if (filter.ids !== undefined) {
    const rows = filter.ids.map((id) => generation.find(id));
    return rows.filter(
      (row): row is number => row !== undefined && generation.row(row).orgId === orgId,
    );
  }
  if (filter.sessionId !== undefined) return org.ofSession(filter.sessionId) ?? NONE;
  if (filter.agentIds === undefined) return org.all;
  const [first, ...others] = filter.agentIds.map((agent) => org.ofAgent(agent) ?? NONE);
  return others.every((rows) => rows.length === 0) ? (first ?? NONE) : [first, ...others].flat();
}

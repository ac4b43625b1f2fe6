import type { Event } from '../event/event.js';
import type { Answer, Deletion } from '../metadata/metadata.js';
import { Arena, type ArenaPlace } from './arena.js';

/** One acknowledged event that the store does not have yet. */
export interface RecentRow extends ArenaPlace {
  readonly event: Event;
  readonly position: number;
  /** Set once a deletion covers it: no read sees it and the flush leaves it out. */
  deleted: boolean;
}

/** Rows that share an id, with the one copy of it that all of them use. */
interface Bucket {
  readonly id: string;
  readonly rows: RecentRow[];
}

/** The rows of one organization in one generation, by the scopes that reads ask for. */
export class OrgRows {
  readonly id: string;
  readonly all: RecentRow[] = [];
  private readonly sessions = new Map<string, Bucket>();
  private readonly agents = new Map<string, Bucket>();

  constructor(id: string) {
    this.id = id;
  }

  /** The event's ids become those that are kept already, so that equal texts are kept once. */
  add(row: RecentRow): void {
    const { event } = row;
    event.orgId = this.id;
    this.all.push(row);
    event.agentId = push(this.agents, event.agentId, row);
    if (event.sessionId !== '') event.sessionId = push(this.sessions, event.sessionId, row);
  }

  ofAgent(id: string): RecentRow[] | undefined {
    return this.agents.get(id)?.rows;
  }

  ofSession(id: string): RecentRow[] | undefined {
    return this.sessions.get(id)?.rows;
  }
}

function push(buckets: Map<string, Bucket>, id: string, row: RecentRow): string {
  const bucket = buckets.get(id);
  if (bucket === undefined) {
    buckets.set(id, { id, rows: [row] });
    return id;
  }
  bucket.rows.push(row);
  return bucket.id;
}

/**
 * Consecutive log records that are flushed together: everything after `from` up to `to`.
 * Rows are only ever added, so that a reader may hold on to an array and its length.
 */
export class Generation {
  readonly from: number;
  to: number;
  bytes = 0;
  /** Monotonic milliseconds of the first record, or null while there is none. */
  openedMs: number | null = null;
  readonly orgs = new Map<string, OrgRows>();
  readonly answers: Answer[] = [];
  readonly deletions: Deletion[] = [];
  readonly arena = new Arena();
  private readonly all: RecentRow[] = [];
  /** Made when somebody asks, up to `indexed` rows: a writer who never asks pays nothing. */
  private readonly byId = new Map<string, RecentRow>();
  private indexed = 0;

  constructor(from: number) {
    this.from = from;
    this.to = from;
  }

  get rows(): number {
    return this.all.length;
  }

  add(event: Event, line: string, position: number): void {
    const { piece, start, end } = this.arena.add(line);
    const row: RecentRow = { event, position, piece, start, end, deleted: false };
    let org = this.orgs.get(event.orgId);
    if (org === undefined) {
      org = new OrgRows(event.orgId);
      this.orgs.set(event.orgId, org);
    }
    org.add(row);
    this.all.push(row);
    this.bytes += ROW_BYTES + event.content.length + event.metadataJson.length + (end - start);
  }

  find(id: string): RecentRow | undefined {
    for (; this.indexed < this.all.length; this.indexed++) {
      const row = this.all[this.indexed];
      this.byId.set(row.event.id, row);
    }
    return this.byId.get(id);
  }

  get empty(): boolean {
    return this.to === this.from;
  }

  /** What is still there, for the store. */
  live(): { events: Event[]; lines: Iterable<Buffer>; longestLine: number } {
    const events: Event[] = [];
    const gone: RecentRow[] = [];
    for (const row of this.all) {
      if (row.deleted) gone.push(row);
      else events.push(row.event);
    }
    return { events, lines: this.arena.lines(gone), longestLine: this.arena.longestLine };
  }
}

/** About the bytes of a row's objects, numbers and index entries. */
const ROW_BYTES = 600;

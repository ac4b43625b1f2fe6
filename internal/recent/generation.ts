import type { Event } from '../event/event.js';
import type { Answer, Deletion } from '../metadata/metadata.js';

/** One acknowledged event that the store does not have yet. */
export interface RecentRow {
  readonly event: Event;
  readonly position: number;
  /** Its row line (event/json.ts), made once for the log and used again by the flush. */
  readonly line: string;
  /** Set once a deletion covers it: no read sees it and the flush leaves it out. */
  deleted: boolean;
}

/** The rows of one organization in one generation, by the scopes that reads ask for. */
export class OrgRows {
  readonly all: RecentRow[] = [];
  readonly bySession = new Map<string, RecentRow[]>();
  readonly byAgent = new Map<string, RecentRow[]>();

  add(row: RecentRow): void {
    this.all.push(row);
    push(this.byAgent, row.event.agentId, row);
    if (row.event.sessionId !== '') push(this.bySession, row.event.sessionId, row);
  }
}

function push(map: Map<string, RecentRow[]>, key: string, row: RecentRow): void {
  const rows = map.get(key);
  if (rows === undefined) map.set(key, [row]);
  else rows.push(row);
}

/**
 * Consecutive log records that are flushed together: everything after `from` up to `to`.
 * Rows are only ever added, so that a reader may hold on to an array and its length.
 */
export class Generation {
  readonly from: number;
  to: number;
  rows = 0;
  bytes = 0;
  /** Monotonic milliseconds of the first record, or null while there is none. */
  openedMs: number | null = null;
  readonly orgs = new Map<string, OrgRows>();
  readonly byId = new Map<string, RecentRow>();
  readonly answers: Answer[] = [];
  readonly deletions: Deletion[] = [];

  constructor(from: number) {
    this.from = from;
    this.to = from;
  }

  add(event: Event, line: string, position: number): void {
    const row: RecentRow = { event, position, line, deleted: false };
    let org = this.orgs.get(event.orgId);
    if (org === undefined) {
      org = new OrgRows();
      this.orgs.set(event.orgId, org);
    }
    org.add(row);
    this.byId.set(event.id, row);
    this.rows += 1;
    this.bytes += weight(event);
  }

  get empty(): boolean {
    return this.to === this.from;
  }

  /** Rows that are still there, for the store. */
  live(): RecentRow[] {
    const rows: RecentRow[] = [];
    for (const org of this.orgs.values()) {
      for (const row of org.all) if (!row.deleted) rows.push(row);
    }
    return rows;
  }
}

/** About the bytes of memory that a row costs: its texts plus objects and index entries. */
function weight(event: Event): number {
  return 800 + 2 * (event.content.length + event.metadataJson.length) + event.tagsCsv.length;
}

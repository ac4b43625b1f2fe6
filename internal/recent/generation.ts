import type { Event, EventTimes } from '../event/event.js';
import type { RowLines } from '../event/rowlines.js';
import type { Answer, Deletion } from '../metadata/metadata.js';
import { Arena, type ArenaPlace } from './arena.js';
import { Columns } from './columns.js';
import { RecentRow } from './row.js';

/** Numbers of the rows of one organization in one generation, by the scopes that reads ask for. */
export class OrgRows {
  readonly all: number[] = [];
  private readonly sessions = new Map<string, number[]>();
  private readonly agents = new Map<string, number[]>();

  add(row: number, { agentId, sessionId }: Event): void {
    this.all.push(row);
    push(this.agents, agentId, row);
    if (sessionId !== '') push(this.sessions, sessionId, row);
  }

  ofAgent(id: string): number[] | undefined {
    return this.agents.get(id);
  }

  ofSession(id: string): number[] | undefined {
    return this.sessions.get(id);
  }
}

function push(rowsOf: Map<string, number[]>, id: string, row: number): void {
  const rows = rowsOf.get(id);
  if (rows === undefined) rowsOf.set(id, [row]);
  else rows.push(row);
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
  private readonly arena = new Arena();
  private readonly columns = new Columns();
  private longestLine = 0;
  /** Made when somebody asks, up to `indexed` rows: a writer who never asks pays nothing. */
  private readonly byId = new Map<string, number>();
  private indexed = 0;

  constructor(from: number) {
    this.from = from;
    this.to = from;
  }

  get rows(): number {
    return this.columns.length;
  }

  add(events: readonly Event[], lines: RowLines, position: number): void {
    if (events.length === 0) return;
    const { columns } = this;
    const { piece, start } = this.arena.add(lines.bytes);
    let at = 0;
    for (let i = 0; i < events.length; i++) {
      const end = lines.ends[i];
      const row = columns.add(events[i], position);
      columns.pieces[row] = piece;
      columns.starts[row] = start + at;
      columns.ends[row] = start + end;
      if (end - at > this.longestLine) this.longestLine = end - at;
      this.orgRows(events[i].orgId).add(row, events[i]);
      at = end;
    }
    this.bytes += lines.bytes.length + ROW_BYTES * events.length;
  }

  /** A row by its number; a scan moves it on. */
  row(index = 0): RecentRow {
    return new RecentRow(this.columns, this.arena, index);
  }

  markDeleted(row: number): void {
    this.columns.deleted[row] = 1;
  }

  /** The number of the row of an id. */
  find(id: string): number | undefined {
    const row = this.row();
    for (; this.indexed < this.columns.length; this.indexed++) {
      row.index = this.indexed;
      this.byId.set(row.id, this.indexed);
    }
    return this.byId.get(id);
  }

  get empty(): boolean {
    return this.to === this.from;
  }

  /** What is still there, for the store. */
  live(): { events: EventTimes[]; lines: Iterable<Buffer>; longestLine: number } {
    const events: EventTimes[] = [];
    const gone: ArenaPlace[] = [];
    const { length, deleted, pieces, starts, ends } = this.columns;
    const row = this.row();
    for (let i = 0; i < length; i++) {
      row.index = i;
      if (deleted[i] === 1) gone.push({ piece: pieces[i], start: starts[i], end: ends[i] });
      else events.push({ timeUs: row.timeUs, expiresUs: row.expiresUs });
    }
    return { events, lines: this.arena.lines(gone), longestLine: this.longestLine };
  }

  private orgRows(orgId: string): OrgRows {
    let org = this.orgs.get(orgId);
    if (org === undefined) {
      org = new OrgRows();
      this.orgs.set(orgId, org);
    }
    return org;
  }
}

/** About the bytes of a row's numbers and index entries besides its line. */
const ROW_BYTES = 150;

import type { Event, MemoryType } from '../event/event.js';
import type { Filterable } from '../event/filter.js';
import { parseRowLine } from '../event/json.js';
import type { Arena } from './arena.js';
import type { Columns } from './columns.js';

/** `{"time":`, then the digits of the time, then `,"id":"`. */
const BEFORE_TIME = 8;
const BEFORE_ID = 7;
const ID_LENGTH = 30;

/**
 * An acknowledged event that the store does not have yet, read where it lies: what filters ask for
 * comes from the columns, the rest from its row line when somebody wants it.
 */
export class RecentRow implements Filterable {
  private readonly columns: Columns;
  private readonly arena: Arena;
  /** A scan moves one row over all. */
  index: number;

  constructor(columns: Columns, arena: Arena, index: number) {
    this.columns = columns;
    this.arena = arena;
    this.index = index;
  }

  /** The same row, which stays where it is. */
  kept(): RecentRow {
    return new RecentRow(this.columns, this.arena, this.index);
  }

  /** The whole event, parsed anew at each call (2 µs). */
  get event(): Event {
    return parseRowLine(this.line.toString('utf8'));
  }

  get position(): number {
    return this.columns.positions[this.index];
  }

  /** Set once a deletion covers it: no read sees it and the flush leaves it out. */
  get deleted(): boolean {
    return this.columns.deleted[this.index] === 1;
  }

  get timeUs(): number {
    return this.columns.times[this.index];
  }

  get expiresUs(): number | null {
    const expiresUs = this.columns.expiries[this.index];
    return Number.isNaN(expiresUs) ? null : expiresUs;
  }

  get id(): string {
    const start = BEFORE_TIME + String(this.timeUs).length + BEFORE_ID;
    return this.line.toString('latin1', start, start + ID_LENGTH);
  }

  get orgId(): string {
    return this.columns.orgId(this.index);
  }

  get agentId(): string {
    return this.columns.agentId(this.index);
  }

  get sessionId(): string {
    return this.columns.sessionId(this.index);
  }

  get memoryType(): MemoryType {
    return this.columns.memoryType(this.index);
  }

  get eventType(): string {
    return this.columns.eventType(this.index);
  }

  get tagsCsv(): string {
    return this.columns.tagsCsv(this.index);
  }

  get parentId(): string {
    return this.columns.parentId(this.index);
  }

  get importance(): number {
    return this.columns.importances[this.index];
  }

  get content(): string {
    return this.event.content;
  }

  private get line(): Buffer {
    const { pieces, starts, ends } = this.columns;
    const { index } = this;
    return this.arena.slice(pieces[index], starts[index], ends[index]);
  }
}

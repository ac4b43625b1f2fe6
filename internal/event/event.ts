/** The four kinds of memory of the wire contract. */
export const MEMORY_TYPES = ['episodic', 'decision', 'entity', 'session'] as const;
export type MemoryType = (typeof MEMORY_TYPES)[number];

/**
 * One event as it is stored: the row of a Parquet file, of the log, and of the recent buffer.
 * Strings are never null: '' is absent. Times are microseconds since 1970 UTC, exact up to 2^53.
 */
export interface Event {
  timeUs: number;
  /** `mem_` + ULID of timeUs in ms. */
  id: string;
  orgId: string;
  agentId: string;
  sessionId: string;
  memoryType: MemoryType;
  eventType: string;
  content: string;
  /** JSON text of an object, or ''. */
  metadataJson: string;
  /** `a,b,c`, in the order sent; tags hold no comma. */
  tagsCsv: string;
  dedupKey: string;
  importance: number;
  parentId: string;
  ingestedUs: number;
  expiresUs: number | null;
}

/** When an event happened and when it goes: what a store must know before it writes a row. */
export type EventTimes = Pick<Event, 'timeUs' | 'expiresUs'>;

/**
 * What a read or a deletion selects within one organization. Absent members select everything.
 * The window is sinceUs <= time < untilUs.
 */
export interface EventFilter {
  ids?: readonly string[];
  /** Literal agent ids, any of them (an agent registration is known by its id and its name). */
  agentIds?: readonly string[];
  sessionId?: string;
  memoryTypes?: readonly MemoryType[];
  eventTypes?: readonly string[];
  /** All must be present, exactly. */
  tags?: readonly string[];
  parentId?: string;
  minImportance?: number;
  /** Already folded with event/fold.ts; a literal substring of the folded content. */
  contentContains?: string;
  sinceUs?: number;
  untilUs?: number;
}

export type Order = 'desc' | 'asc';

/** A place in the total order (time, then id). */
export interface Place {
  timeUs: number;
  id: string;
}

import { decodeMs } from '../../base/ulid.js';
import type { EventFilter } from '../../event/event.js';
import { type Epoch, epochAt } from '../../metadata/epochs.js';
import type { Deletion } from '../../metadata/metadata.js';

/**
 * Which deletions a file's rows must be held against. Pure.
 *
 * A deletion covers what the log accepted before it. A flush leaves out what was deleted before it,
 * so a deletion applies to a file iff the file is of an earlier epoch (metadata/epochs.ts), or both
 * are of one and its position is at or past the end of the file's range. (One within the range was
 * applied by the flush to just the rows before it.)
 */

/** Half open: sinceUs <= time < untilUs. */
export interface TimeRange {
  sinceUs: number;
  untilUs: number;
}

/** What to leave out, in the form that SQL takes cheaply. */
export interface Erased {
  ids: readonly string[];
  sessions: readonly string[];
  filters: readonly EventFilter[];
}

const NOTHING: Erased = { ids: [], sessions: [], filters: [] };

interface Candidate {
  epoch: number;
  position: number;
  id?: string;
  session?: string;
  filter?: EventFilter;
}

interface DatedId {
  ms: number;
  id: string;
  stream: string;
  position: number;
}

/** One organization's deletions, ready for the question of every read. */
class DeletionIndex {
  /** Deletions of single events, by the millisecond in their id. */
  private readonly ids: readonly DatedId[];
  private readonly others: readonly Deletion[];

  constructor(deletions: readonly Deletion[]) {
    const byId = deletions.filter(({ filter }) => isOnlyIds(filter));
    this.ids = byId.flatMap(datedIds).sort((a, b) => a.ms - b.ms);
    this.others = deletions.filter(({ filter }) => !isOnlyIds(filter));
  }

  /** Those that may take a row that `filter` selects out of the time range. */
  candidates(range: TimeRange, filter: EventFilter, epochs: readonly Epoch[]): Candidate[] {
    const found: Candidate[] = [];
    const untilMs = Math.ceil(range.untilUs / 1000);
    for (let i = this.firstAt(Math.floor(range.sinceUs / 1000)); i < this.ids.length; i++) {
      const { ms, id, stream, position } = this.ids[i];
      if (ms >= untilMs) break;
      if (filter.ids !== undefined && !filter.ids.includes(id)) continue;
      found.push({ epoch: epochAt(epochs, stream, position), position, id });
    }
    for (const { filter: deleted, stream, position } of this.others) {
      if (!mayMeet(deleted, filter) || !overlaps(deleted, range)) continue;
      const session = isOnlySession(deleted) ? deleted.sessionId : undefined;
      const what = session === undefined ? { filter: deleted } : { session };
      found.push({ epoch: epochAt(epochs, stream, position), position, ...what });
    }
    return found;
  }

  /** The index of the first id whose millisecond is at or past `ms`. */
  private firstAt(ms: number): number {
    let low = 0;
    let high = this.ids.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ids[middle].ms < ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Deletion lists are replaced, never changed, so what was made of one stays right. */
const indexes = new WeakMap<readonly Deletion[], DeletionIndex>();

/** Files that the same deletions apply to have the same `key`, and are read together. */
export interface Applied {
  key: string;
  erased: Erased;
}

const NONE: Applied = { key: '', erased: NOTHING };

/** The deletions that may take a row that `filter` selects out of `range`, asked file by file. */
export class ApplicableDeletions {
  private readonly epochs: readonly Epoch[];
  /** In the order in which they were requested. */
  private readonly candidates: Candidate[];
  private readonly made = new Map<string, Applied>();

  constructor(
    deletions: readonly Deletion[],
    range: TimeRange,
    filter: EventFilter,
    epochs: readonly Epoch[],
  ) {
    let index = indexes.get(deletions);
    if (index === undefined) {
      index = new DeletionIndex(deletions);
      indexes.set(deletions, index);
    }
    this.epochs = epochs;
    this.candidates = index
      .candidates(range, filter, epochs)
      .sort((a, b) => a.epoch - b.epoch || a.position - b.position);
  }

  to(file: { stream: string; toPosition: number }): Applied {
    const list = this.candidates;
    if (list.length === 0) return NONE;
    const at = epochAt(this.epochs, file.stream, file.toPosition);
    const from = list.findIndex(
      ({ epoch, position }) => epoch > at || (epoch === at && position >= file.toPosition),
    );
    if (from < 0) return NONE;
    const key = String(from);
    let applied = this.made.get(key);
    if (applied === undefined) {
      applied = { key, erased: erasedBy(list.slice(from)) };
      this.made.set(key, applied);
    }
    return applied;
  }
}

function erasedBy(candidates: readonly Candidate[]): Erased {
  return {
    ids: candidates.flatMap(({ id }) => (id === undefined ? [] : [id])),
    sessions: candidates.flatMap(({ session }) => (session === undefined ? [] : [session])),
    filters: candidates.flatMap(({ filter }) => (filter === undefined ? [] : [filter])),
  };
}

function keysOf(filter: EventFilter): string {
  const entries = Object.entries(filter).filter(([, value]) => value !== undefined);
  return entries.map(([key]) => key).join();
}

function isOnlyIds(filter: EventFilter): boolean {
  return keysOf(filter) === 'ids';
}

function isOnlySession(filter: EventFilter): boolean {
  return keysOf(filter) === 'sessionId';
}

function datedIds({ filter, stream, position }: Deletion): DatedId[] {
  return (filter.ids ?? []).flatMap((id) => {
    const ms = msOfId(id);
    return ms === null ? [] : [{ ms, id, stream, position }];
  });
}

/** The millisecond of an event's id (`mem_` + ULID), or null if no event can have it. */
export function msOfId(id: string): number | null {
  return id.startsWith('mem_') ? decodeMs(id.slice(4)) : null;
}

function overlaps(filter: EventFilter, range: TimeRange): boolean {
  const since = filter.sinceUs ?? Number.NEGATIVE_INFINITY;
  return since < range.untilUs && (filter.untilUs ?? Number.POSITIVE_INFINITY) > range.sinceUs;
}

/** False only if no row can match both. */
function mayMeet(a: EventFilter, b: EventFilter): boolean {
  if (a.sessionId !== undefined && b.sessionId !== undefined && a.sessionId !== b.sessionId) {
    return false;
  }
  return (
    haveCommon(a.agentIds, b.agentIds) &&
    haveCommon(a.ids, b.ids) &&
    haveCommon(a.memoryTypes, b.memoryTypes) &&
    haveCommon(a.eventTypes, b.eventTypes)
  );
}

function haveCommon(a: readonly string[] | undefined, b: readonly string[] | undefined): boolean {
  if (a === undefined) return b === undefined || b.length > 0;
  return a.some((value) => b === undefined || b.includes(value));
}

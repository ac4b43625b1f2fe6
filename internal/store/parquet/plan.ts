import { assert } from '../../base/assert.js';
import type { Event, EventFilter, Order, Place } from '../../event/event.js';
import type { Epoch } from '../../metadata/epochs.js';
import type { Located, LocatedPartition, Scope } from '../../metadata/metadata.js';
import type { Incomplete, StreamPosition, Visibility } from '../store.js';
import { ApplicableDeletions, type Erased, msOfId, type TimeRange } from './deletions.js';

/** What to read, without reading: pure functions of the query and the catalog's answer. */

/** The parts of a query that a plan is made of. */
export interface Wanted {
  orgId: string;
  filter: EventFilter;
  visibility: Visibility;
  upTo?: StreamPosition;
}

/** With the order of streams that its snapshot told. */
export interface Planned extends Wanted {
  epochs: readonly Epoch[];
}

export interface WantedPage extends Wanted {
  order: Order;
  after?: Place;
  limit: number;
  fields?: 'all' | 'context';
}

/**
 * The times that a row of the answer can have: the filter's window, the retention floor, the place
 * that the page begins after, and the milliseconds in the ids asked for. Empty if since >= until.
 */
export function rangeOf(wanted: Wanted & Partial<WantedPage>): TimeRange {
  const { filter, visibility, after, order } = wanted;
  const since = [0, filter.sinceUs ?? 0, visibility.floorUs ?? 0];
  const until = [filter.untilUs ?? Number.MAX_SAFE_INTEGER];
  if (after !== undefined && order === 'asc') since.push(after.timeUs);
  if (after !== undefined && order === 'desc') until.push(after.timeUs + 1);
  if (filter.ids !== undefined) {
    const times = filter.ids.flatMap((id) => msOfId(id) ?? []).map((ms) => ms * 1000);
    // Without one that can exist the minimum is +∞ and the maximum −∞: an empty range.
    since.push(times.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY));
    until.push(times.reduce((a, b) => Math.max(a, b + 1000), Number.NEGATIVE_INFINITY));
  }
  const range = { sinceUs: Math.max(...since), untilUs: Math.min(...until) };
  return range.sinceUs < range.untilUs ? range : { sinceUs: 0, untilUs: 0 };
}

export function scopeOf(wanted: Wanted, range: TimeRange): Scope {
  const { agentIds, sessionId } = wanted.filter;
  return { orgId: wanted.orgId, agentIds, sessionId, ...range };
}

/**
 * The part of the snapshot that covers records up to a position of the stream that is written now,
 * which must lie between the files: a file that covers more cannot be cut. What earlier streams
 * left is part of it.
 */
export function upTo(located: Located, end: StreamPosition | undefined): Located {
  if (end === undefined) return located;
  const { stream, position } = end;
  const within = ({ id, fromPosition, toPosition, ...file }: LocatedPartition) => {
    if (file.stream !== stream) return true;
    const cut = fromPosition <= position && position < toPosition;
    assert(!cut, `position ${position} is inside of ${id} (${fromPosition}–${toPosition})`);
    return toPosition <= position;
  };
  const covered = Math.min(located.through[stream] ?? 0, position);
  return {
    ...located,
    through: { ...located.through, [stream]: covered },
    partitions: located.partitions.filter(within),
    quarantined: located.quarantined.filter(within),
  };
}

/** Files that one statement reads; a full page is final unless a later step reaches into it. */
export interface Step {
  files: LocatedPartition[];
  /** The best time that any later step can bring: the newest for desc, the oldest for asc. */
  laterUs: number | null;
}

/** More files than this are not opened by one statement. */
const MAX_FILES = 256;
/** The first step wants the page's number of rows, each further one so many times more. */
const GROWTH = 4;

/**
 * The best files first, in growing steps: what the spans say of the scope tells how many files a
 * page takes, and a filter that drops most rows soon reads many files at once.
 */
export function planSteps(files: readonly LocatedPartition[], order: Order, limit: number): Step[] {
  const sorted = [...files].sort((a, b) =>
    betterTime(order, bestUs(a, order), bestUs(b, order)) ? -1 : 1,
  );
  const steps: Step[] = [];
  let wantedRows = Math.max(limit, 1);
  let step: LocatedPartition[] = [];
  let rows = 0;
  for (const file of sorted) {
    if (step.length > 0 && (rows >= wantedRows || step.length >= MAX_FILES)) {
      steps.push({ files: step, laterUs: bestUs(file, order) });
      step = [];
      rows = 0;
      wantedRows *= GROWTH;
    }
    step.push(file);
    rows += file.sum.rows;
  }
  if (step.length > 0) steps.push({ files: step, laterUs: null });
  return steps;
}

function bestUs({ sum }: LocatedPartition, order: Order): number {
  return order === 'desc' ? sum.lastUs : sum.firstUs;
}

function betterTime(order: Order, a: number, b: number): boolean {
  return order === 'desc' ? a > b : a < b;
}

/** Whether rows of a later step cannot come before `timeUs`, nor beside it. */
export function isFinal(step: Step, order: Order, timeUs: number): boolean {
  return step.laterUs === null || betterTime(order, timeUs, step.laterUs);
}

/**
 * The last time in the order that no step after this one can bring a row of. Undefined if it does
 * not lie behind the place that the page begins after: files overlap, and a walk must go forward.
 */
export function searchedBy({ laterUs }: Step, { order, after }: WantedPage): number | undefined {
  if (laterUs === null) return undefined;
  const searchedUs = order === 'desc' ? laterUs + 1 : laterUs - 1;
  if (after !== undefined && !betterTime(order, after.timeUs, searchedUs)) return undefined;
  return searchedUs;
}

/** Those of sorted events that do not come after `timeUs`. */
export function upToTime(events: readonly Event[], order: Order, timeUs: number): Event[] {
  return events.filter((event) => !betterTime(order, timeUs, event.timeUs));
}

/** Files that are read with the same conditions. */
export interface Branch {
  files: LocatedPartition[];
  erased: Erased;
  /** Some row in them may have expired. */
  expiring: boolean;
  /** All rows asked for are of this agent, whose rows stand together (copy.ts). */
  agentId?: string;
}

export function branchesOf(files: readonly LocatedPartition[], wanted: Planned): Branch[] {
  const { deletions, nowUs } = wanted.visibility;
  const range = spanOfFiles(files, rangeOf(wanted));
  const applicable = new ApplicableDeletions(deletions, range, wanted.filter, wanted.epochs);
  const branches = new Map<string, Branch>();
  for (const file of files) {
    const { agentId } = file;
    const { key: deleted, erased } = applicable.to(file);
    const key = `${deleted} ${agentId ?? ''}`;
    const expiring = file.minExpiresUs !== null && file.minExpiresUs <= nowUs;
    const branch = branches.get(key);
    if (branch === undefined) branches.set(key, { files: [file], erased, expiring, agentId });
    else {
      branch.files.push(file);
      branch.expiring ||= expiring;
    }
  }
  return [...branches.values()];
}

/** The part of the range where the files have rows. */
function spanOfFiles(files: readonly LocatedPartition[], range: TimeRange): TimeRange {
  let sinceUs = Number.MAX_SAFE_INTEGER;
  let untilUs = 0;
  for (const { minTimeUs, maxTimeUs } of files) {
    sinceUs = Math.min(sinceUs, minTimeUs);
    untilUs = Math.max(untilUs, maxTimeUs + 1);
  }
  return {
    sinceUs: Math.max(sinceUs, range.sinceUs),
    untilUs: Math.min(untilUs, range.untilUs),
  };
}

/** How statistics come about: sums of spans where those are exact, reading where not. */
export interface StatsPlan {
  summed: LocatedPartition[];
  read: LocatedPartition[];
}

export function planStats(files: readonly LocatedPartition[], wanted: Planned): StatsPlan {
  const range = rangeOf(wanted);
  const { deletions, nowUs } = wanted.visibility;
  const exact = hasOnlyScope(wanted.filter);
  const { filter, epochs } = wanted;
  const any = new ApplicableDeletions(deletions, range, filter, epochs);
  const plan: StatsPlan = { summed: [], read: [] };
  for (const file of files) {
    const { firstUs, lastUs, minExpiresUs } = file.sum;
    const rows = { sinceUs: firstUs, untilUs: lastUs + 1 };
    const whole =
      exact &&
      firstUs >= range.sinceUs &&
      lastUs < range.untilUs &&
      (minExpiresUs === null || minExpiresUs > nowUs) &&
      (any.to(file).key === '' ||
        new ApplicableDeletions(deletions, rows, filter, epochs).to(file).key === '');
    (whole ? plan.summed : plan.read).push(file);
  }
  return plan;
}

/** The members that spans can answer: whose rows, and when. */
const SCOPE_KEYS = new Set(['agentIds', 'sessionId', 'sinceUs', 'untilUs']);

function hasOnlyScope(filter: EventFilter): boolean {
  const set = Object.entries(filter).filter(([, value]) => value !== undefined);
  return set.every(([key]) => SCOPE_KEYS.has(key));
}

/** Splits what one statement would open too many files for. */
export function inChunks(files: readonly LocatedPartition[]): LocatedPartition[][] {
  const chunks: LocatedPartition[][] = [];
  for (let i = 0; i < files.length; i += MAX_FILES) chunks.push(files.slice(i, i + MAX_FILES));
  return chunks;
}

/** What an answer must say of files that it could not use, or undefined if there are none. */
export function incompleteOf(files: readonly LocatedPartition[]): Incomplete | undefined {
  if (files.length === 0) return undefined;
  return {
    files: files.length,
    fileIds: files.map(({ id }) => id),
    sinceUs: files.reduce(
      (min, { minTimeUs }) => Math.min(min, minTimeUs),
      Number.MAX_SAFE_INTEGER,
    ),
    untilUs: files.reduce((max, { maxTimeUs }) => Math.max(max, maxTimeUs + 1), 0),
  };
}

/** Of the unusable files, those that the page (its last row, if it is full) reaches into. */
export function reachedBy(
  files: readonly LocatedPartition[],
  order: Order,
  lastUs: number | null,
): LocatedPartition[] {
  if (lastUs === null) return [...files];
  return files.filter((file) => !betterTime(order, lastUs, bestUs(file, order)));
}

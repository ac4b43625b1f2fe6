import { US_PER_DAY } from '../../base/clock.js';
import { decodeMs } from '../../base/ulid.js';
import type { Partition } from '../../metadata/metadata.js';

/** Which files become one. Pure. */

/** A file of half of it is finished: no merge takes it. */
export const MAX_FILE_BYTES = 64 * 2 ** 20;
/** 100 row groups. */
export const MAX_FILE_ROWS = 100 * 8_192;
/** Files of the same tier are merged: so a row is rewritten three times at most. */
const TIERS_FROM_BYTES = [4 * 2 ** 20, 16 * 2 ** 20];
/** A day to which nothing came for so long gets its last few small files merged. */
const QUIET_US = 3_600_000_000;

export interface PickOptions {
  nowUs: number;
  minFiles: number;
  /** Only of this day. */
  day?: number;
  /** Two small files of a day are enough, now. */
  eager?: boolean;
  /** Files that may be merged at all. */
  eligible(file: Partition): boolean;
}

/** Groups of files of one day and stream, each to become one file; newest day first. */
export function pickGroups(files: readonly Partition[], options: PickOptions): Partition[][] {
  const byDay = new Map<string, Partition[]>();
  for (const file of files) {
    if (file.state !== 'live' || !isSmall(file) || !options.eligible(file)) continue;
    if (options.day !== undefined && file.day !== options.day) continue;
    const key = `${file.day} ${file.stream}`;
    const list = byDay.get(key);
    if (list === undefined) byDay.set(key, [file]);
    else list.push(file);
  }
  const groups = [...byDay.values()].flatMap((small) => groupsOfDay(small, options));
  return groups.sort((a, b) => b[0].day - a[0].day);
}

function isSmall({ bytes, rows }: Partition): boolean {
  return bytes < MAX_FILE_BYTES / 2 && rows < MAX_FILE_ROWS / 2;
}

function groupsOfDay(small: Partition[], options: PickOptions): Partition[][] {
  const { minFiles, eager, nowUs } = options;
  if (eager || isQuiet(small, nowUs)) return runsOf(small).filter((run) => run.length > 1);
  const tiers = TIERS_FROM_BYTES.map((_, tier) => small.filter((file) => tierOf(file) === tier));
  tiers.push(small.filter((file) => tierOf(file) === TIERS_FROM_BYTES.length));
  return tiers
    .flatMap((tier) => runsOf(tier))
    .filter((run) => run.length >= minFiles || isFull(run));
}

function tierOf({ bytes }: Partition): number {
  const tier = TIERS_FROM_BYTES.findIndex((from) => bytes < from);
  return tier < 0 ? TIERS_FROM_BYTES.length : tier;
}

/** Neighbours in time, as many as one file holds: a read of a time then opens few files. */
function runsOf(files: readonly Partition[]): Partition[][] {
  const inOrder = [...files].sort((a, b) => a.minTimeUs - b.minTimeUs || (a.id < b.id ? -1 : 1));
  const runs: Partition[][] = [];
  let run: Partition[] = [];
  for (const file of inOrder) {
    if (run.length > 0 && !fits([...run, file])) {
      runs.push(run);
      run = [];
    }
    run.push(file);
  }
  if (run.length > 0) runs.push(run);
  return runs;
}

function fits(run: readonly Partition[]): boolean {
  const bytes = run.reduce((sum, file) => sum + file.bytes, 0);
  const rows = run.reduce((sum, file) => sum + file.rows, 0);
  return bytes <= MAX_FILE_BYTES && rows <= MAX_FILE_ROWS;
}

/** The output will be finished. */
function isFull(run: readonly Partition[]): boolean {
  const bytes = run.reduce((sum, file) => sum + file.bytes, 0);
  const rows = run.reduce((sum, file) => sum + file.rows, 0);
  return run.length > 1 && (bytes >= MAX_FILE_BYTES / 2 || rows >= MAX_FILE_ROWS / 2);
}

/** The day is over, and its newest small file is old: the time is in its id. */
function isQuiet(small: readonly Partition[], nowUs: number): boolean {
  const newestUs = Math.max(...small.map(({ id }) => (decodeMs(id.slice(4)) ?? 0) * 1000));
  return newestUs + QUIET_US <= nowUs && (small[0].day + 1) * US_PER_DAY <= nowUs;
}

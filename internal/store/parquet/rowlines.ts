import { type FileHandle, open } from 'node:fs/promises';
import { dayOf } from '../../base/clock.js';
import type { Event } from '../../event/event.js';
import { writeAll } from '../../objects/local.js';
import type { SealedRow } from '../store.js';

/** What the events of one UTC day are known to be before they are written: the check's measure. */
export interface DaySummary {
  day: number;
  rows: number;
  minTimeUs: number;
  maxTimeUs: number;
  minExpiresUs: number | null;
}

export interface RowLines {
  /** Oldest day first. */
  days: DaySummary[];
  /** No line has more bytes than this. */
  longestLine: number;
}

/** Serializing may hold the event loop for so many milliseconds at a time. */
const SLICE_MS = 5;
const SLICE_CHARS = 1 << 18;
const LOOK_EVERY = 32;
/** UTF-8 takes at most three bytes for a UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;

/** Writes the row lines into a new file, in slices. */
export async function writeRowLines(path: string, rows: readonly SealedRow[]): Promise<RowLines> {
  const file = await open(path, 'wx');
  try {
    return await writeSlices(file, rows);
  } finally {
    await file.close();
  }
}

async function writeSlices(file: FileHandle, rows: readonly SealedRow[]): Promise<RowLines> {
  const days = new Map<number, DaySummary>();
  let longest = 0;
  let slice = '';
  let start = performance.now();
  for (let i = 0; i < rows.length; i++) {
    const { event, line } = rows[i];
    longest = Math.max(longest, line.length);
    slice += `${line}\n`;
    addToDay(days, event);
    const look = i % LOOK_EVERY === 0 && performance.now() - start > SLICE_MS;
    if (look || slice.length > SLICE_CHARS) {
      await writeAll(file, Buffer.from(slice));
      slice = '';
      start = performance.now();
    }
  }
  await writeAll(file, Buffer.from(slice));
  const inOrder = [...days.values()].sort((a, b) => a.day - b.day);
  return { days: inOrder, longestLine: longest * MAX_BYTES_PER_UNIT };
}

function addToDay(days: Map<number, DaySummary>, event: Event): void {
  const { timeUs, expiresUs } = event;
  const day = dayOf(timeUs);
  const summary = days.get(day);
  if (summary === undefined) {
    const whole = { day, rows: 1, minTimeUs: timeUs, maxTimeUs: timeUs, minExpiresUs: expiresUs };
    days.set(day, whole);
    return;
  }
  summary.rows += 1;
  summary.minTimeUs = Math.min(summary.minTimeUs, timeUs);
  summary.maxTimeUs = Math.max(summary.maxTimeUs, timeUs);
  if (expiresUs === null) return;
  summary.minExpiresUs = Math.min(summary.minExpiresUs ?? expiresUs, expiresUs);
}

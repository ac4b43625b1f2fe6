import { type FileHandle, open } from 'node:fs/promises';
import { dayOf } from '../../base/clock.js';
import type { Event } from '../../event/event.js';
import { rowLine } from '../../event/json.js';
import { writeAll } from '../../objects/local.js';

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

/** Writes the events as row lines (event/json.ts) into a new file, in slices. */
export async function writeRowLines(path: string, events: readonly Event[]): Promise<RowLines> {
  const file = await open(path, 'wx');
  try {
    return await writeSlices(file, events);
  } finally {
    await file.close();
  }
}

async function writeSlices(file: FileHandle, events: readonly Event[]): Promise<RowLines> {
  const days = new Map<number, DaySummary>();
  let longest = 0;
  let slice = '';
  let start = performance.now();
  for (let i = 0; i < events.length; i++) {
    const line = rowLine(events[i]);
    longest = Math.max(longest, line.length);
    slice += `${line}\n`;
    addToDay(days, events[i]);
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

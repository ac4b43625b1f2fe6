import { open } from 'node:fs/promises';
import { dayOf } from '../../base/clock.js';
import type { EventTimes } from '../../event/event.js';
import { writeAll } from '../../objects/local.js';

/** What the events of one UTC day are known to be before they are written: the check's measure. */
export interface DaySummary {
  day: number;
  rows: number;
  minTimeUs: number;
  maxTimeUs: number;
  minExpiresUs: number | null;
}

/** Looking at events may hold the event loop for so many milliseconds at a time. */
const SLICE_MS = 5;
const LOOK_EVERY = 256;

/** Writes the row lines into a new file. */
export async function writeRowLines(path: string, lines: Iterable<Buffer>): Promise<void> {
  const file = await open(path, 'wx');
  try {
    for (const piece of lines) await writeAll(file, piece);
  } finally {
    await file.close();
  }
}

/** What the events of each day are, oldest day first; in slices. */
export async function summarize(events: readonly EventTimes[]): Promise<DaySummary[]> {
  const days = new Map<number, DaySummary>();
  let start = performance.now();
  for (let i = 0; i < events.length; i++) {
    addToDay(days, events[i]);
    if (i % LOOK_EVERY === 0 && performance.now() - start > SLICE_MS) {
      await new Promise(setImmediate);
      start = performance.now();
    }
  }
  return [...days.values()].sort((a, b) => a.day - b.day);
}

function addToDay(days: Map<number, DaySummary>, event: EventTimes): void {
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

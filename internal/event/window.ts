import { US_PER_DAY, US_PER_SECOND } from '../base/clock.js';
import { invalid } from '../fault/fault.js';

/** The first moment that has no time any more: 10000-01-01. */
const END_US = Date.UTC(10000, 0, 1) * 1000;

const UNIT_US: Record<string, number> = {
  s: US_PER_SECOND,
  m: 60 * US_PER_SECOND,
  h: 3600 * US_PER_SECOND,
  d: US_PER_DAY,
  w: 7 * US_PER_DAY,
};

/** Patterns of what these functions read; whether a day exists is for them to say. */
export const SPAN_PATTERN = '^(\\d{1,15})([smhdw])$';
export const DATE_PATTERN = '^(\\d{4})-(\\d{2})-(\\d{2})$';
export const RFC3339_PATTERN =
  '^(\\d{4})-(\\d{2})-(\\d{2})[Tt](\\d{2}):(\\d{2}):(\\d{2})' +
  '(?:\\.(\\d{1,9}))?(?:[Zz]|([+-])(\\d{2}):(\\d{2}))$';

const SPAN = new RegExp(SPAN_PATTERN);
const DATE = new RegExp(DATE_PATTERN);
const RFC3339 = new RegExp(RFC3339_PATTERN);

const TIME_RULE = 'an RFC 3339 time such as 2026-11-21T08:15:00Z, between 1970 and 9999';
const SPAN_RULE = '"now", a span back from now such as 30m, 24h or 7d';
const WINDOW_RULE = `${SPAN_RULE}, a date such as 2026-11-21, or ${TIME_RULE}`;

/** `from <= time < to`, in µs; an absent side is open. */
export interface TimeWindow {
  sinceUs?: number;
  untilUs?: number;
}

/** µs of an RFC 3339 time; digits beyond microseconds are cut off. Faults name `field`. */
export function parseTime(value: unknown, field: string): number {
  const us = typeof value === 'string' ? rfc3339Us(value) : Number.NaN;
  if (!isTime(us)) throw invalid(field, `${field} must be ${TIME_RULE}.`, hintFor(value));
  return us;
}

/** µs of a time value of a query: a span back from now, `now`, a date, or an RFC 3339 time. */
export function parseTimeValue(value: unknown, nowUs: number, field: string): number {
  const us = typeof value === 'string' ? timeValueUs(value, nowUs) : Number.NaN;
  if (!isTime(us)) throw invalid(field, `${field} must be ${WINDOW_RULE}.`, hintFor(value));
  return us;
}

/** µs of a duration such as `90d`: a whole number above 0 with one of s, m, h, d, w. */
export function parseDuration(value: unknown, field: string): number {
  const us = typeof value === 'string' ? durationUs(value) : Number.NaN;
  if (!(us > 0 && us < END_US)) {
    throw invalid(field, `${field} must be a duration such as 30m, 24h or 90d (s, m, h, d or w).`);
  }
  return us;
}

/**
 * The window of `since` and `until`, both optional; null is absent.
 *
 * @param path what stands before the names in a fault, e.g. '' or `filter.`
 */
export function parseWindow(
  sent: { since?: unknown; until?: unknown },
  nowUs: number,
  path = '',
): TimeWindow {
  const window: TimeWindow = {};
  if (isPresent(sent.since)) window.sinceUs = parseTimeValue(sent.since, nowUs, `${path}since`);
  if (isPresent(sent.until)) window.untilUs = parseTimeValue(sent.until, nowUs, `${path}until`);
  const { sinceUs, untilUs } = window;
  if (sinceUs !== undefined && untilUs !== undefined && sinceUs >= untilUs) {
    throw invalid(`${path}since`, `${path}since must be before ${path}until.`);
  }
  return window;
}

/** Whether µs are within 1970 … 9999. */
export function isTime(us: number): boolean {
  return us >= 0 && us < END_US;
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function timeValueUs(text: string, nowUs: number): number {
  if (text === 'now') return nowUs;
  const back = durationUs(text);
  if (!Number.isNaN(back)) return nowUs - back;
  const date = DATE.exec(text);
  return date === null ? rfc3339Us(text) : dateMs(date) * 1000;
}

function durationUs(text: string): number {
  const parts = SPAN.exec(text);
  return parts === null ? Number.NaN : Number(parts[1]) * UNIT_US[parts[2]];
}

function rfc3339Us(text: string): number {
  const parts = RFC3339.exec(text);
  if (parts === null) return Number.NaN;
  const hour = Number(parts[4]);
  const minute = Number(parts[5]);
  const second = Number(parts[6]);
  // A leap second has no place on the µs axis; 24:00 is not RFC 3339.
  if (hour > 23 || minute > 59 || second > 59) return Number.NaN;
  const local = dateMs(parts) / 1000 + hour * 3600 + minute * 60 + second;
  const seconds = local - offsetSeconds(parts);
  const us = seconds * US_PER_SECOND + microsOf(parts[7]);
  // From the year 2255 on a number holds whole seconds exactly, but not every microsecond.
  return Number.isSafeInteger(us) ? us : seconds * US_PER_SECOND;
}

function microsOf(fraction: string | undefined): number {
  return fraction === undefined ? 0 : Number(fraction.slice(0, 6).padEnd(6, '0'));
}

function offsetSeconds(parts: RegExpExecArray): number {
  if (parts[8] === undefined) return 0;
  const hours = Number(parts[9]);
  const minutes = Number(parts[10]);
  if (hours > 23 || minutes > 59) return Number.NaN;
  return (parts[8] === '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

/** Milliseconds of a date's first moment; NaN for a day that its month does not have. */
function dateMs(parts: RegExpExecArray): number {
  const year = Number(parts[1]);
  const month = Number(parts[2]);
  const day = Number(parts[3]);
  // Date.UTC takes years below 100 for 19xx.
  if (year < 1900 || month < 1 || month > 12 || day < 1 || day > 31) return Number.NaN;
  const ms = Date.UTC(year, month - 1, day);
  return day > 28 && new Date(ms).getUTCDate() !== day ? Number.NaN : ms;
}

function hintFor(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined;
  if (/\d \d\d:\d\d$/.test(value)) return 'In a URL, write the + of an offset as %2B.';
  const back = durationUs(value);
  return Number.isNaN(back) ? undefined : 'For everything, leave it out.';
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatUs, US_PER_DAY } from '../base/clock.js';
import { Fault } from '../fault/fault.js';
import { parseDuration, parseTime, parseTimeValue, parseWindow } from './window.js';

const NOW = Date.UTC(2026, 10, 21, 8, 15) * 1000;
const HOUR = 3_600_000_000;

function refused(run: () => unknown): Fault {
  try {
    run();
  } catch (error) {
    if (error instanceof Fault) return error;
  }
  throw new Error('was accepted');
}

test.each([
  ['1970-01-01T00:00:00Z', 0],
  ['2255-06-05T23:47:34.740991Z', Number.MAX_SAFE_INTEGER],
  ['9999-12-31T23:59:59.999999Z', Date.UTC(9999, 11, 31, 23, 59, 59) * 1000],
  ['2026-11-21t08:15:00z', NOW],
  ['2026-11-21T08:15:00.5Z', NOW + 500_000],
  ['2026-11-21T08:15:00.123456789Z', NOW + 123_456],
  ['2026-11-21T08:15:00.000000999Z', NOW],
  ['2026-11-21T10:15:00+02:00', NOW],
  ['2026-11-21T02:45:00-05:30', NOW],
  ['2026-11-21T08:15:00-00:00', NOW],
  ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29) * 1000],
  ['1970-01-01T01:00:00+01:00', 0],
])('time %s', (text, us) => {
  expect(parseTime(text, 'time')).toBe(us);
});

test.each([
  ['2026-11-21'],
  ['2026-11-21 08:15:00Z'],
  ['2026-11-21T08:15:00'],
  ['2026-11-21T08:15Z'],
  ['2026-11-21T08:15:00.Z'],
  ['2026-11-21T08:15:00.1234567890Z'],
  ['2026-11-21T24:00:00Z'],
  ['2026-11-21T08:60:00Z'],
  ['2016-12-31T23:59:60Z'],
  ['2026-02-30T00:00:00Z'],
  ['2025-02-29T00:00:00Z'],
  ['2026-04-31T00:00:00Z'],
  ['2026-00-01T00:00:00Z'],
  ['2026-13-01T00:00:00Z'],
  ['2026-01-00T00:00:00Z'],
  ['2026-11-21T08:15:00+24:00'],
  ['2026-11-21T08:15:00+0200'],
  ['1969-12-31T23:59:59.999999Z'],
  ['0001-01-01T00:00:00Z'],
  ['0070-01-01T00:00:00Z'],
  ['9999-12-31T23:59:59-00:01'],
  ['1970-01-01T00:00:00+00:01'],
  ['2026-11-21T08:15:00Z\n'],
  [' 2026-11-21T08:15:00Z'],
  ['٢٠٢٦-11-21T08:15:00Z'],
  [''],
  [1_795_000_000],
  [null],
  [{}],
])('no time: %j', (value) => {
  expect(refused(() => parseTime(value, 'time')).details.field).toBe('time');
});

test.each([
  ['now', NOW],
  ['0s', NOW],
  ['90s', NOW - 90_000_000],
  ['30m', NOW - HOUR / 2],
  ['24h', NOW - US_PER_DAY],
  ['7d', NOW - 7 * US_PER_DAY],
  ['2w', NOW - 14 * US_PER_DAY],
  ['2026-11-21', Date.UTC(2026, 10, 21) * 1000],
  ['2026-11-21T08:15:00Z', NOW],
])('time value %s', (text, us) => {
  expect(parseTimeValue(text, NOW, 'since')).toBe(us);
});

test.each([
  ['24'],
  ['24H'],
  ['-1h'],
  ['+1h'],
  ['1.5h'],
  ['1 h'],
  ['1y'],
  ['h'],
  ['NOW'],
  ['all'],
  ['yesterday'],
  ['NaN'],
  ['100000d'],
  ['999999999999999w'],
  ['99999999999999999999s'],
  ['2026-02-30'],
  ['2026-1-1'],
  ['0001-01-01'],
  [''],
  [24],
])('no time value: %j', (value) => {
  expect(refused(() => parseTimeValue(value, NOW, 'since')).details.field).toBe('since');
});

test('hints say what probably happened', () => {
  const lostPlus = refused(() => parseTimeValue('2026-11-21T08:15:00 02:00', NOW, 'since'));
  expect(lostPlus.details.hint).toContain('%2B');
  const tooFar = refused(() => parseTimeValue('100000d', NOW, 'since'));
  expect(tooFar.details.hint).toContain('leave it out');
});

test.each([
  ['1s', 1_000_000],
  ['30m', HOUR / 2],
  ['90d', 90 * US_PER_DAY],
  ['1w', 7 * US_PER_DAY],
])('duration %s', (text, us) => {
  expect(parseDuration(text, 'ttl')).toBe(us);
});

test.each([['0s'], ['90'], ['-1d'], ['1.5d'], ['999999999999999w'], [''], [90], ['now']])(
  'no duration: %j',
  (value) => {
    expect(refused(() => parseDuration(value, 'ttl')).details.field).toBe('ttl');
  },
);

describe('a window', () => {
  test('is open where nothing is said', () => {
    expect(parseWindow({}, NOW)).toEqual({});
    expect(parseWindow({ since: null, until: null }, NOW)).toEqual({});
    expect(parseWindow({ since: '1h' }, NOW)).toEqual({ sinceUs: NOW - HOUR });
    expect(parseWindow({ until: 'now' }, NOW)).toEqual({ untilUs: NOW });
  });

  test.each([
    ['now', 'now'],
    ['1h', '2h'],
    ['2026-11-21', '2026-11-21T00:00:00Z'],
  ])('from %s until %s is refused', (since, until) => {
    expect(refused(() => parseWindow({ since, until }, NOW, 'filter.')).details.field).toBe(
      'filter.since',
    );
  });

  test('names the side that is wrong', () => {
    expect(refused(() => parseWindow({ until: '' }, NOW)).details.field).toBe('until');
  });
});

test('every time is read back as it is written', () => {
  const times = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER - US_PER_DAY });
  fc.assert(
    fc.property(times, fc.integer({ min: -1439, max: 1439 }), (us, offset) => {
      expect(parseTime(formatUs(us), 'time')).toBe(us);
      const shifted = us + offset * 60_000_000;
      if (shifted < 0) return;
      const sign = offset < 0 ? '-' : '+';
      const hours = String(Math.floor(Math.abs(offset) / 60)).padStart(2, '0');
      const minutes = String(Math.abs(offset) % 60).padStart(2, '0');
      const text = formatUs(shifted).replace('Z', `${sign}${hours}:${minutes}`);
      expect(parseTime(text, 'time')).toBe(us);
    }),
  );
});

test('what looks like a date is one exactly if the calendar has it', () => {
  const number = fc.integer({ min: 0, max: 40 });
  fc.assert(
    fc.property(fc.integer({ min: 1970, max: 9999 }), number, number, (year, month, day) => {
      const text = `${year}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`;
      const date = new Date(`${text}T00:00:00.000Z`);
      const real = !Number.isNaN(date.getTime()) && date.toISOString().startsWith(text);
      if (real) expect(parseTimeValue(text, NOW, 'since')).toBe(date.getTime() * 1000);
      else refused(() => parseTimeValue(text, NOW, 'since'));
    }),
  );
});

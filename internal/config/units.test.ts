import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatBytes, formatDuration, parseBytes, parseDuration } from './units.js';

test.each([
  ['0', 0],
  ['200', 200],
  ['64MiB', 64 * 2 ** 20],
  ['64 mib', 64 * 2 ** 20],
  ['10Mi', 10 * 2 ** 20],
  ['1.5GiB', 1.5 * 2 ** 30],
  ['10MB', 10_000_000],
  ['7B', 7],
])('%s is %d bytes', (text, bytes) => {
  expect(parseBytes(text)).toBe(bytes);
});

test.each(['', 'MiB', '64M', '64G', '-1', '1e3', '64MiBs', '9000TiB', '1constructor'])(
  '%j is no size',
  (text) => {
    expect(parseBytes(text)).toBeNull();
  },
);

test.each([
  ['0', 0],
  ['30', 30_000],
  ['0.5', 500],
  ['250ms', 250],
  ['30s', 30_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1.5h', 5_400_000],
  ['7d', 604_800_000],
  ['1w', 604_800_000],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', 's', '30 s', '-5s', '5M', '1h30', '1y', '30sec', '1e3s'])(
  '%j is no duration',
  (text) => {
    expect(parseDuration(text)).toBeNull();
  },
);

test('what is formatted reads back exactly', () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 45 }), (n) => {
      expect(parseBytes(formatBytes(n))).toBe(n);
      expect(parseDuration(formatDuration(n))).toBe(n);
    }),
  );
  expect(formatBytes(64 * 2 ** 20)).toBe('64MiB');
  expect(formatDuration(90_000)).toBe('90s');
});

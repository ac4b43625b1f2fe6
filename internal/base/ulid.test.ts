import { expect, test } from 'vitest';
import { decodeMs, encodeMs, UlidFactory } from './ulid.js';

test('the time is the first ten characters and comes back', () => {
  const ulids = new UlidFactory();
  for (const ms of [0, 1, 1_795_000_000_123, 2 ** 48 - 1]) {
    const id = ulids.next(ms);
    expect(id).toMatch(/^[0-9A-HJKMNP-TV-Z]{26}$/);
    expect(decodeMs(id)).toBe(ms);
  }
  // The example of the ULID specification.
  expect(encodeMs(1469918176385)).toBe('01ARYZ6S41');
});

test('ids of one millisecond increase even when other times come between', () => {
  const ulids = new UlidFactory();
  let last = ulids.next(1000);
  for (let i = 0; i < 10_000; i++) {
    ulids.next(i);
    const next = ulids.next(1000);
    expect(next > last).toBe(true);
    last = next;
  }
});

test('a carry out of the low half keeps the order', () => {
  const ulids = new UlidFactory(() => 0.999999);
  let last = ulids.next(5);
  for (let i = 0; i < 3_000_000; i += 1) {
    const next = ulids.next(5);
    if (next <= last) throw new Error(`${next} after ${last}`);
    last = next;
  }
});

test('what is not a ULID has no time', () => {
  for (const text of ['', 'x', '8ZZZZZZZZZZZZZZZZZZZZZZZZZ', '01ARYZ6S41TSV4RRFFQ69G5FAI']) {
    expect(decodeMs(text)).toBeNull();
  }
});

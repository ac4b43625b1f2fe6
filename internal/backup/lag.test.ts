import { expect, test } from 'vitest';
import { Lag } from './lag.js';

test('is never younger than the oldest record that was not sent', () => {
  const lag = new Lag();
  lag.look(0, 0);
  lag.look(5, 1_000);
  lag.look(9, 2_000);
  expect(lag.ageMs(3_000)).toBe(3_000);
  lag.shipped(5);
  expect(lag.ageMs(3_000)).toBe(2_000);
  lag.shipped(9);
  lag.look(9, 4_000);
  expect(lag.ageMs(5_000)).toBe(0);
  lag.look(10, 6_000);
  expect(lag.ageMs(6_000)).toBe(2_000);
});

test('a target out of reach for weeks costs no memory, and no accuracy of the oldest', () => {
  const lag = new Lag();
  for (let second = 1; second < 100_000; second++) lag.look(second, second * 1_000);
  expect(lag.ageMs(100_000_000)).toBe(99_999_000);
  lag.shipped(99_990);
  expect(lag.ageMs(100_000_000)).toBeGreaterThanOrEqual(9_000);
  expect((Reflect.get(lag, 'samples') as unknown[]).length).toBeLessThan(600);
});

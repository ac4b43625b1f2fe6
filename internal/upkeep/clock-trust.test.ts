import { expect, test } from 'vitest';
import { ClockTrust } from './clock-trust.js';

const HOUR = 3_600_000;

/** A clock whose two hands are moved apart at will. */
function hands() {
  const at = { wallMs: 1_700_000_000_000, monoMs: 500 };
  const clock = { nowUs: () => at.wallMs * 1000, monoMs: () => at.monoMs };
  const pass = (ms: number, slewMs = 0) => {
    at.wallMs += ms + slewMs;
    at.monoMs += ms;
  };
  return { at, clock, pass };
}

test('the clock is trusted after an hour side by side, and not before', () => {
  const { clock, pass } = hands();
  const trust = new ClockTrust(clock, HOUR);
  for (let minute = 0; minute < 59; minute++) {
    pass(60_000);
    expect(trust.look()).toBe(false);
  }
  pass(60_000);
  expect(trust.look()).toBe(true);
});

test.each([
  ['forward', 40 * 24 * HOUR],
  ['back', -2 * HOUR],
  ['a little', 3_000],
])('a jump %s costs the trust for an hour', (_, jumpMs) => {
  const { at, clock, pass } = hands();
  const trust = new ClockTrust(clock, HOUR);
  pass(HOUR);
  expect(trust.look()).toBe(true);
  at.wallMs += jumpMs;
  pass(30_000);
  expect(trust.look()).toBe(false);
  pass(HOUR - 1);
  expect(trust.look()).toBe(false);
  pass(1);
  expect(trust.look()).toBe(true);
});

test('a jump forward and back again is two jumps', () => {
  const { at, clock, pass } = hands();
  const trust = new ClockTrust(clock, HOUR);
  pass(HOUR / 2);
  at.wallMs += HOUR;
  expect(trust.look()).toBe(false);
  at.wallMs -= HOUR;
  expect(trust.look()).toBe(false);
  pass(HOUR / 2);
  expect(trust.look()).toBe(false);
});

test('the slow correction of NTP is no jump', () => {
  const { clock, pass } = hands();
  const trust = new ClockTrust(clock, HOUR);
  for (let minute = 0; minute < 60; minute++) {
    pass(60_000, 30);
    trust.look();
  }
  expect(trust.look()).toBe(true);
});

import { expect, test } from 'vitest';
import { covers, type Epoch, epochAt } from './epochs.js';

const EPOCHS: Epoch[] = [
  { stream: 'a', after: 0 },
  { stream: 'b', after: 0 },
  { stream: 'a', after: 50 },
];

test('a position belongs to the last epoch of its stream that began before it', () => {
  const cases: [string, number, number][] = [
    ['a', 1, 0],
    ['a', 50, 0],
    ['a', 51, 2],
    ['b', 1, 1],
    ['b', 9_999, 1],
    ['a', 0, 0],
    ['new', 1, 3],
  ];
  for (const [stream, position, epoch] of cases) {
    expect(epochAt(EPOCHS, stream, position)).toBe(epoch);
  }
});

test('a deletion covers earlier epochs whole, of its own what ended before it, nothing later', () => {
  const cases: [string, number, string, number, boolean][] = [
    ['a', 10, 'a', 10, true],
    ['a', 10, 'a', 11, false],
    ['a', 10, 'b', 1, false],
    ['b', 1, 'a', 50, true],
    ['b', 1, 'b', 2, false],
    // The stream a was put back: what it holds past 50 came after b, and deletes what b left.
    ['b', 999, 'a', 51, false],
    ['a', 51, 'b', 999, true],
    ['a', 51, 'a', 50, true],
    ['new', 1, 'a', 99, true],
  ];
  for (const [of, position, stream, toPosition, covered] of cases) {
    expect([
      of,
      position,
      stream,
      toPosition,
      covers(EPOCHS, { stream: of, position }, { stream, toPosition }),
    ]).toEqual([of, position, stream, toPosition, covered]);
  }
});

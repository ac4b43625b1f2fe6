import { expect, test } from 'vitest';
import { Turns } from './turns.js';

test('slices of many tasks never share a turn of the event loop, and come in their order', async () => {
  const turns = new Turns();
  let turn = 0;
  let counting = true;
  const count = () => {
    turn += 1;
    if (counting) setImmediate(count);
  };
  setImmediate(count);
  const seen: { task: number; turn: number }[] = [];
  const task = async (id: number) => {
    for (let slice = 0; slice < 3; slice++) {
      await turns.next();
      seen.push({ task: id, turn });
    }
  };
  await Promise.all([1, 2, 3, 4].map(task));
  counting = false;
  expect(new Set(seen.map((slice) => slice.turn)).size).toBe(12);
  expect(seen.map((slice) => slice.task)).toEqual([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
});

import { expect, test } from 'vitest';
import { FairPool, PoolRefused } from './fair-pool.js';

const options = { capacity: 10, maxWaiting: 5, maxWaitMs: 10_000 };

test('one tenant alone may take all of it', () => {
  const pool = new FairPool(options);
  const ticket = pool.tryTake('a', 10);
  expect(ticket).not.toBeNull();
  expect(pool.tryTake('a', 1)).toBeNull();
  ticket?.release();
  ticket?.release();
  expect(pool.inUse).toBe(0);
});

test('while another waits, nobody goes over half', async () => {
  const pool = new FairPool(options);
  const first = await pool.take('greedy', 5);
  const second = await pool.take('greedy', 5);
  const served: string[] = [];
  const greedy = pool.take('greedy', 5).then(() => served.push('greedy'));
  const other = pool.take('other', 5).then(() => served.push('other'));
  first.release();
  await other;
  expect(served).toEqual(['other']);
  second.release();
  await greedy;
  expect(served).toEqual(['other', 'greedy']);
});

test('waiting tenants take turns', async () => {
  const pool = new FairPool({ ...options, capacity: 1 });
  const served: string[] = [];
  const ticket = await pool.take('x', 1);
  const all = ['a', 'a', 'b', 'c'].map(async (tenant) => {
    const mine = await pool.take(tenant, 1);
    served.push(tenant);
    mine.release();
  });
  ticket.release();
  await Promise.all(all);
  expect(served).toEqual(['a', 'b', 'c', 'a']);
});

test('a full queue, an abort and a long wait refuse', async () => {
  const pool = new FairPool({ capacity: 1, maxWaiting: 2, maxWaitMs: 5 });
  await pool.take('a', 1);
  const controller = new AbortController();
  const waits = pool.take('b', 1);
  const aborted = pool.take('b', 1, controller.signal);
  await expect(pool.take('c', 1)).rejects.toMatchObject({ reason: 'full' });
  controller.abort();
  await expect(aborted).rejects.toMatchObject({ reason: 'aborted' });
  await expect(waits).rejects.toBeInstanceOf(PoolRefused);
  expect(pool.waiting).toBe(0);
});

test('an amount above the capacity passes when alone', () => {
  const pool = new FairPool(options);
  expect(pool.tryTake('a', 1000)).not.toBeNull();
});

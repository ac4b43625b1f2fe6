import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { continueLog } from './continue.js';
import { openSegmentLog } from './open.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'continue-'));
});
afterEach(() => rm(dir, { recursive: true }));

const stream = 'w_01JD0000000000000000000000.3';

test('a log goes on with its stream after a position', async () => {
  continueLog(join(dir, 'wal'), { stream, position: 41, nowUs: 1 });
  const log = await openSegmentLog({ dir: join(dir, 'wal') });
  expect(log.stream).toBe(stream);
  expect(log.durable).toBe(41);
  expect(log.health.damagedRecords).toBe(0);
  expect(await log.append('next')).toBe(42);
  await log.close();
  const again = await openSegmentLog({ dir: join(dir, 'wal') });
  expect([again.stream, again.durable]).toEqual([stream, 42]);
  await again.close();
});

test('a log that was never written goes on with its first record', async () => {
  continueLog(join(dir, 'wal'), { stream, position: 0, nowUs: 1 });
  const log = await openSegmentLog({ dir: join(dir, 'wal') });
  expect([log.stream, await log.append('first')]).toEqual([stream, 1]);
  await log.close();
});

test('refuses what is no stream, and a log that is there', async () => {
  const at = { position: 1, nowUs: 1 };
  for (const name of ['', 'w_1.1', '../w_01JD0000000000000000000000.3', `${stream}.1`]) {
    expect(() => continueLog(join(dir, 'a'), { stream: name, ...at })).toThrow('not the name');
  }
  continueLog(join(dir, 'b'), { stream, ...at });
  expect(() => continueLog(join(dir, 'b'), { stream, ...at })).toThrow('not empty');
});

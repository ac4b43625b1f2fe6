import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { appendAll, segmentNames, temporaryDirectory } from '../../../test/support/log-dir.js';
import { collect, logContract } from '../log.suite.js';
import type { Damage } from './damage.js';
import type { FaultPlan } from './faults.js';
import { segmentName } from './format.js';
import { openSegmentLog, type SegmentLogOptions } from './open.js';
import type { SegmentLog } from './segment-log.js';

let dir = '';
let opened: SegmentLog[] = [];

async function open(options: Partial<SegmentLogOptions> = {}): Promise<SegmentLog> {
  const log = await openSegmentLog({ dir, probeMs: 20, ...options });
  opened.push(log);
  return log;
}

beforeEach(() => {
  dir = temporaryDirectory();
});

afterEach(async () => {
  for (const log of opened) await log.close().catch(() => undefined);
  opened = [];
  fs.rmSync(dir, { recursive: true, force: true });
});

for (const [name, options] of [
  ['segments', {}],
  ['tiny segments', { segmentBytes: 5_000, growBytes: 1_000 }],
  ['segments, ack = memory', { ack: 'memory' }],
  ['segments, short writes', { disk: { maxWrite: 777 }, growBytes: 10_000 }],
] satisfies [string, Partial<SegmentLogOptions>][]) {
  let base = '';
  logContract(name, {
    reset: async () => {
      if (base !== '') fs.rmSync(base, { recursive: true, force: true });
      base = path.join(dir, `${Math.random()}`);
    },
    open: () => openSegmentLog({ dir: base, ...options }),
  });
}

test('all that is appended while a group is synced shares one fsync', async () => {
  const syncs: number[] = [];
  const log = await open({ onSync: (_ms, records) => syncs.push(records) });
  await Promise.all(Array.from({ length: 1000 }, (_, i) => log.append(`${i}`)));
  expect(syncs).toEqual([1000]);
  const first = log.append('first');
  await new Promise(setImmediate);
  await Promise.all([first, ...Array.from({ length: 50 }, () => log.append('later'))]);
  expect(syncs).toEqual([1000, 1, 50]);
});

test('onSync tells milliseconds and bytes', async () => {
  const onSync = vi.fn();
  const log = await open({ onSync });
  await log.append('x'.repeat(72));
  expect(onSync).toHaveBeenCalledExactlyOnceWith(expect.any(Number), 1, 100);
});

test('beyond maxPendingBytes an append is refused before anything is kept', async () => {
  const log = await open({ maxPendingBytes: 10_000 });
  const results = await Promise.allSettled(
    Array.from({ length: 20 }, () => log.append('x'.repeat(1_000))),
  );
  const kept = results.filter((result) => result.status === 'fulfilled').length;
  expect(kept).toBe(9);
  const overloaded = { code: 'overloaded', details: { retryAfterS: 1 } };
  for (const result of results.slice(kept)) {
    expect(result).toMatchObject({ status: 'rejected', reason: overloaded });
  }
  expect(await collect(log)).toHaveLength(kept);
  expect(log.pendingBytes).toBe(0);
  expect(await log.append('x'.repeat(50_000))).toBe(kept + 1);
});

const SMALL = { segmentBytes: 2_000, growBytes: 1_000 };

test('a segment is closed before it grows beyond its size, and cut to its records', async () => {
  const log = await open(SMALL);
  for (let i = 0; i < 10; i++) await log.append('x'.repeat(500));
  expect(segmentNames(dir)).toEqual([1, 4, 7, 10].map(segmentName));
  const sizes = segmentNames(dir).map((name) => fs.statSync(path.join(dir, name)).size);
  expect(sizes).toEqual([80 + 3 * 528, 80 + 3 * 528, 80 + 3 * 528, 1000]);
  expect(log.health).toMatchObject({ segments: 4, bytes: 3 * 1664 + 1000 });
});

test('a release removes whole segments, and the last one once all of it is released', async () => {
  const log = await open(SMALL);
  for (let i = 0; i < 10; i++) await log.append('x'.repeat(500));
  await log.release(5);
  expect(segmentNames(dir)).toEqual([4, 7, 10].map(segmentName));
  await log.release(10);
  expect(segmentNames(dir)).toEqual([segmentName(11)]);
  expect(log.health).toMatchObject({ segments: 1, bytes: 80 });
});

test('rotate lets a release free what is in the segment being written', async () => {
  const log = await open();
  await log.append('to be erased');
  await log.rotate();
  await log.rotate();
  await log.append('kept');
  await log.release(1);
  expect(segmentNames(dir)).toEqual([segmentName(2)]);
  expect(await collect(log)).toEqual([{ position: 2, payload: 'kept' }]);
});

test('damage found on opening is told and counted; the log goes on', async () => {
  appendAll(dir, ['a', 'b', 'c']);
  const file = path.join(dir, segmentName(1));
  const bytes = fs.readFileSync(file);
  bytes[bytes.indexOf('b', 80)] = 0x42;
  fs.writeFileSync(file, bytes);
  const damage: Damage[] = [];
  const log = await open({ onDamage: (found) => damage.push(found) });
  expect(await collect(log)).toEqual([
    { position: 1, payload: 'a' },
    { position: 3, payload: 'c' },
  ]);
  expect(damage).toMatchObject([{ kind: 'record', records: 1, segment: segmentName(1) }]);
  expect(log.health.damagedRecords).toBe(1);
  expect(await log.append('d')).toBe(4);
});

test('damage that comes while the log is open is found by the next read', async () => {
  const damage: Damage[] = [];
  const log = await open({ onDamage: (found) => damage.push(found) });
  for (const payload of ['a', 'b', 'c']) await log.append(payload);
  const fd = fs.openSync(path.join(dir, segmentName(1)), 'r+');
  fs.writeSync(fd, 'noise', 80 + 29 * 2 + 3);
  fs.closeSync(fd);
  expect(await collect(log)).toHaveLength(2);
  expect(await collect(log)).toHaveLength(2);
  expect(damage).toMatchObject([{ kind: 'record', records: 1, bytes: 29 }]);
  expect(log.health.damagedRecords).toBe(1);
});

test('a directory that cannot be one is an error', async () => {
  fs.writeFileSync(path.join(dir, 'file'), '');
  const failing = openSegmentLog({ dir: path.join(dir, 'file') });
  await expect(failing).rejects.toThrow(/cannot open the write-ahead log/);
});

const trigger = (): string => path.join(dir, 'trigger');

async function openFaulty(disk: FaultPlan, options: Partial<SegmentLogOptions> = {}) {
  const failed = vi.fn();
  const log = await open({ dir: path.join(dir, 'wal'), disk, onFailed: failed, ...options });
  return { log, failed };
}

test('a failed fsync poisons the log: all that waits and all that comes is refused', async () => {
  const { log, failed } = await openFaulty({ syncErrorWhile: trigger() });
  expect(await log.append('whole')).toBe(1);
  fs.writeFileSync(trigger(), '');
  const results = await Promise.allSettled(['a', 'b', 'c'].map((text) => log.append(text)));
  for (const result of results) {
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'log_failed' } });
  }
  fs.rmSync(trigger());
  await expect(log.append('later')).rejects.toMatchObject({ code: 'log_failed' });
  await expect(log.release(1)).rejects.toMatchObject({ code: 'log_failed' });
  expect(log.health.state).toBe('failed');
  expect(log.durable).toBe(1);
  expect(failed).toHaveBeenCalledTimes(1);
  expect(failed.mock.calls[0]?.[0].message).toMatch(/EIO/);
  await log.close();
});

test('ack = memory: an fsync that fails later poisons as well', async () => {
  const disk = { syncErrorWhile: trigger() };
  const { log, failed } = await openFaulty(disk, { ack: 'memory' });
  expect(await log.append('written')).toBe(1);
  fs.writeFileSync(trigger(), '');
  expect(await log.append('acknowledged without an fsync')).toBe(2);
  await vi.waitFor(() => expect(failed).toHaveBeenCalledTimes(1), 5_000);
  await expect(log.append('later')).rejects.toMatchObject({ code: 'log_failed' });
});

test('a full disk refuses, keeps nothing, and appends work again once there is space', async () => {
  const disk = { fullWhile: trigger(), roomBytes: 300 };
  const { log, failed } = await openFaulty(disk, { growBytes: 1_000 });
  await log.append('x'.repeat(850));
  fs.writeFileSync(trigger(), '');
  const results = await Promise.allSettled(
    ['refused 1', 'r'.repeat(500)].map((text) => log.append(text)),
  );
  for (const result of results) {
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'disk_full' } });
  }
  expect(log.health.state).toBe('full');
  await expect(log.append('refused 2')).rejects.toMatchObject({ code: 'disk_full' });
  fs.rmSync(trigger());
  await vi.waitFor(() => expect(log.health.state).toBe('ok'));
  expect(await log.append('accepted')).toBe(2);
  expect(failed).not.toHaveBeenCalled();
  await log.close();
  const again = await open({ dir: path.join(dir, 'wal') });
  const payloads = (await collect(again)).map((record) => record.payload);
  expect(payloads).toEqual(['x'.repeat(850), 'accepted']);
  expect(again.health.damagedRecords).toBe(0);
});

test('a release while the disk is full frees space and is no error', async () => {
  const { log } = await openFaulty({ fullWhile: trigger() }, { segmentBytes: 1_000 });
  for (let i = 0; i < 4; i++) await log.append('x'.repeat(600));
  fs.writeFileSync(trigger(), '');
  await expect(log.append('x'.repeat(600))).rejects.toMatchObject({ code: 'disk_full' });
  await log.release(4);
  expect(log.health.segments).toBe(1);
  fs.rmSync(trigger());
  await vi.waitFor(() => expect(log.health.state).toBe('ok'));
  expect(await log.append('y')).toBe(5);
});

test('a log opens on a full disk, reads, and writes once there is space', async () => {
  appendAll(path.join(dir, 'wal'), ['a']);
  fs.writeFileSync(trigger(), '');
  const { log } = await openFaulty({ fullWhile: trigger() });
  expect(await collect(log)).toHaveLength(1);
  await expect(log.append('b')).rejects.toMatchObject({ code: 'disk_full' });
  fs.rmSync(trigger());
  await vi.waitFor(() => expect(log.health.state).toBe('ok'));
  expect(await log.append('b')).toBe(2);
});

test('a write error other than a full disk poisons', async () => {
  const { log, failed } = await openFaulty({ writeErrorWhile: trigger() });
  await log.append('a');
  fs.writeFileSync(trigger(), '');
  await expect(log.append('b')).rejects.toMatchObject({ code: 'log_failed' });
  expect(failed).toHaveBeenCalledTimes(1);
  await log.close();
  const again = await open({ dir: path.join(dir, 'wal') });
  expect(await collect(again)).toEqual([{ position: 1, payload: 'a' }]);
});

test('a failed write that cannot be taken back poisons', async () => {
  const disk = { fullWhile: trigger(), truncateErrorWhile: trigger() };
  const { log, failed } = await openFaulty(disk);
  await log.append('a');
  fs.writeFileSync(trigger(), '');
  await expect(log.append('b'.repeat(2 << 20))).rejects.toMatchObject({ code: 'log_failed' });
  expect(failed.mock.calls[0]?.[0].message).toMatch(/take back/);
});

test('is filled, refuses, and goes on after a release', async (context) => {
  const mount = path.join(dir, 'small');
  fs.mkdirSync(mount);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', mount], { stdio: 'pipe' });
  } catch {
    context.skip('needs the right to mount a tmpfs (root)');
  }
  try {
    await fillAndRelease(path.join(mount, 'wal'));
  } finally {
    execFileSync('umount', ['-l', mount]);
  }
});

async function fillAndRelease(wal: string): Promise<void> {
  const log = await open({ dir: wal, segmentBytes: 2 << 20 });
  let acknowledged = 0;
  const fill = async (): Promise<unknown> => {
    try {
      for (;;) acknowledged = await log.append(`${acknowledged + 1}:`.padEnd(50_000, 'x'));
    } catch (error) {
      return error;
    }
  };
  expect(await fill()).toMatchObject({ code: 'disk_full' });
  expect(acknowledged).toBeGreaterThan(100);
  expect(log.health.state).toBe('full');
  expect(await collect(log)).toHaveLength(acknowledged);
  const half = Math.floor(acknowledged / 2);
  await log.release(half);
  await vi.waitFor(() => expect(log.health.state).toBe('ok'));
  expect(await log.append('after')).toBe(acknowledged + 1);
  acknowledged += 1;
  expect(await fill()).toMatchObject({ code: 'disk_full' });
  await log.close();
  const again = await open({ dir: wal });
  const records = await collect(again, half);
  expect(records.map((record) => record.position)).toEqual(
    Array.from({ length: acknowledged - half }, (_, i) => half + 1 + i),
  );
  expect(again.health.damagedRecords).toBe(0);
  await again.close();
}

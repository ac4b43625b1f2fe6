import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  appendAll,
  group,
  openWriter,
  readAll,
  reopen,
  segmentNames,
  temporaryDirectory,
} from '../../../test/support/log-dir.js';
import { type Disk, realDisk } from './disk.js';
import { segmentName } from './format.js';
import { LogFailed, NoRoom } from './writer.js';

let dir = '';

beforeEach(() => {
  dir = temporaryDirectory();
});

afterEach(() => {
  fs.rmSync(dir, { recursive: true, force: true });
});

/** The real disk with some calls replaced, and a list of the calls that were made. */
function watched(replaced: Partial<Disk>): { disk: Disk; calls: string[] } {
  const calls: string[] = [];
  const disk = { ...realDisk, ...replaced };
  const all = Object.entries(disk).map(([name, call]) => {
    const recorded = (...args: unknown[]): unknown => {
      calls.push(name);
      return Reflect.apply(call, undefined, args);
    };
    return [name, recorded];
  });
  return { disk: Object.fromEntries(all), calls };
}

function error(code: 'EIO' | 'ENOSPC'): Error {
  return Object.assign(new Error(code), { code, errno: -os.constants.errno[code] });
}

test('a group within the zeros is one write and one fdatasync', () => {
  const { disk, calls } = watched({});
  const { writer } = openWriter(dir, { disk });
  writer.write(group(['a']));
  writer.sync();
  calls.length = 0;
  expect(writer.write(group(['b', 'c', 'd']))).toBe(2);
  writer.sync();
  expect(calls).toEqual(['write', 'sync']);
  expect(writer.last).toBe(4);
});

test('a new segment is synced, then its directory, before records go into it', () => {
  const { disk, calls } = watched({});
  const { writer } = openWriter(dir, { disk });
  calls.length = 0;
  writer.write(group(['a']));
  writer.sync();
  expect(calls).toEqual(['open', 'write', 'sync', 'syncDir', 'write', 'write', 'sync']);
});

test('after a failed fsync no call reaches the disk any more', () => {
  let broken = false;
  const sync = (fd: number): void => {
    if (broken) throw error('EIO');
    realDisk.sync(fd);
  };
  const { disk, calls } = watched({ sync });
  const { writer } = openWriter(dir, { disk });
  writer.write(group(['a']));
  broken = true;
  expect(() => writer.sync()).toThrow(LogFailed);
  broken = false;
  calls.length = 0;
  expect(() => writer.sync()).toThrow(LogFailed);
  expect(() => writer.write(group(['b']))).toThrow(LogFailed);
  expect(() => writer.rotate()).toThrow(LogFailed);
  expect(() => writer.release(1)).toThrow(LogFailed);
  expect(() => writer.probe()).toThrow(LogFailed);
  writer.close();
  expect(calls).toEqual(['close']);
});

test.each([0, 1, 30, 4_000, 5_000])('a disk that is full after %i bytes keeps nothing', (room) => {
  let left = Number.POSITIVE_INFINITY;
  const write = (fd: number, bytes: Buffer, position: number): number => {
    if (left === 0) throw error('ENOSPC');
    const taken = realDisk.write(fd, bytes.subarray(0, Math.min(left, bytes.length)), position);
    left -= taken;
    return taken;
  };
  const { writer } = openWriter(dir, { disk: { ...realDisk, write } });
  writer.write(group(['kept']));
  writer.sync();
  left = room;
  const refused = group(['r'.repeat(3_000), 's'.repeat(2_500)]);
  expect(() => writer.write(refused)).toThrow(NoRoom);
  expect(fs.statSync(path.join(dir, segmentName(1))).size).toBe(80 + 32);
  expect(() => writer.probe()).toThrow(NoRoom);
  left = Number.POSITIVE_INFINITY;
  writer.probe();
  expect(writer.write(group(['next']))).toBe(2);
  const { records, damage } = reopen(dir);
  expect([...records.values()]).toEqual(['kept', 'next']);
  expect(damage).toEqual([]);
});

test('a segment for which there is no room leaves no file, and the old one goes on', () => {
  let full = false;
  const open = (file: string, flags: 'r' | 'r+' | 'wx'): number => {
    if (full && flags === 'wx') throw error('ENOSPC');
    return realDisk.open(file, flags);
  };
  const { writer } = openWriter(dir, { disk: { ...realDisk, open }, segmentBytes: 500 });
  writer.write(group(['x'.repeat(300)]));
  full = true;
  expect(() => writer.write(group(['y'.repeat(300)]))).toThrow(NoRoom);
  expect(writer.write(group(['small']))).toBe(2);
  writer.release(2);
  expect(segmentNames(dir)).toEqual([segmentName(1)]);
  full = false;
  writer.release(2);
  expect(segmentNames(dir)).toEqual([segmentName(3)]);
});

test('reading goes in chunks and resumes within a segment', () => {
  const payloads = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(200_000, '.'));
  appendAll(dir, payloads, 3_000_000);
  const { writer, report, damage } = openWriter(dir);
  expect([...readAll(writer, report)]).toEqual(payloads.map((payload, i) => [i + 1, payload]));
  expect(damage).toEqual([]);
  writer.close();
});

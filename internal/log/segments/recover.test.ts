import fs from 'node:fs';
import path from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  appendAll,
  group,
  openWriter,
  reopen,
  segmentNames,
  temporaryDirectory,
} from '../../../test/support/log-dir.js';
import { realDisk } from './disk.js';
import { encodeSegmentHeader, RECORD_HEADER, SEGMENT_HEADER, segmentName } from './format.js';

let dir = '';

beforeEach(() => {
  dir = temporaryDirectory();
});

afterEach(() => {
  fs.rmSync(dir, { recursive: true, force: true });
});

const PAYLOADS = ['one', 'two: ünï', 'three '.repeat(20), '', 'five'];

function fileOf(index: number): string {
  return path.join(dir, segmentNames(dir)[index] ?? 'absent');
}

function edit(file: string, change: (bytes: Buffer) => Buffer): void {
  fs.writeFileSync(file, change(fs.readFileSync(file)));
}

function flip(bytes: Buffer, bit: number): Buffer {
  bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return bytes;
}

function startOf(index: number): number {
  const before = PAYLOADS.slice(0, index).map((text) => RECORD_HEADER + Buffer.byteLength(text));
  return SEGMENT_HEADER + before.reduce((sum, bytes) => sum + bytes, 0);
}

function expected(without: number[] = []): [number, string][] {
  const all = PAYLOADS.map((text, i): [number, string] => [i + 1, text]);
  return all.filter(([position]) => !without.includes(position));
}

test('a directory that does not exist is a new stream at position 1', () => {
  const { records, next } = reopen(path.join(dir, 'a', 'b'));
  expect(records.size).toBe(0);
  expect(next).toBe(1);
});

test.each(['cut', 'zeros', 'noise'])('a torn tail, %s at every byte of the last record', (how) => {
  appendAll(dir, PAYLOADS);
  const file = fileOf(0);
  const whole = fs.readFileSync(file);
  const end = startOf(5);
  for (let at = startOf(4); at < end; at++) {
    const fill = how === 'cut' ? '' : Buffer.alloc(whole.length - at, how === 'zeros' ? 0 : 0x5a);
    fs.rmSync(dir, { recursive: true });
    fs.mkdirSync(dir);
    fs.writeFileSync(file, Buffer.concat([whole.subarray(0, at), Buffer.from(fill)]));
    const { records, damage, next } = reopen(dir);
    expect([...records]).toEqual(expected([5]));
    expect(next).toBe(5);
    const silent = at === startOf(4) && how !== 'noise';
    expect(damage.map((found) => found.kind)).toEqual(silent ? [] : ['torn_tail']);
    expect(reopen(dir).damage).toEqual([]);
  }
});

test('after a torn tail the number of the torn record is used again, in a new segment', () => {
  appendAll(dir, PAYLOADS);
  edit(fileOf(0), (bytes) => bytes.subarray(0, startOf(5) - 1));
  appendAll(dir, ['again']);
  expect(segmentNames(dir)).toEqual([segmentName(1), segmentName(5)]);
  const { records, damage } = reopen(dir);
  expect([...records]).toEqual([...expected([5]), [5, 'again']]);
  expect(damage).toEqual([]);
});

test('a flipped bit anywhere in a record costs that record only, and is told once a start', () => {
  appendAll(dir, PAYLOADS);
  const whole = fs.readFileSync(fileOf(0));
  const bits = fc.integer({ min: startOf(0) * 8, max: startOf(4) * 8 - 1 });
  fc.assert(
    fc.property(bits, (bit) => {
      fs.writeFileSync(fileOf(0), flip(Buffer.from(whole), bit));
      const hit = [1, 2, 3, 4].find((position) => bit < startOf(position) * 8) ?? 0;
      const { records, damage, next } = reopen(dir);
      expect([...records]).toEqual(expected([hit]));
      expect(next).toBe(6);
      expect(damage).toHaveLength(1);
      expect(damage[0]).toMatchObject({ kind: 'record', records: 1, offset: startOf(hit - 1) });
      const copy = fs.readFileSync(path.join(dir, damage[0]?.quarantined ?? ''));
      expect(copy.length).toBe(startOf(hit) - startOf(hit - 1));
      fs.rmSync(path.join(dir, 'quarantine'), { recursive: true });
    }),
    { numRuns: 300 },
  );
}, 60_000);

test('whatever bytes are overwritten, no record comes back altered and the next ones come', () => {
  appendAll(dir, PAYLOADS);
  const whole = fs.readFileSync(fileOf(0)).subarray(0, startOf(5));
  const damageAt = fc.record({
    at: fc.integer({ min: 0, max: whole.length - 1 }),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 60 }),
  });
  fc.assert(
    fc.property(fc.array(damageAt, { maxLength: 3 }), (changes) => {
      fs.rmSync(dir, { recursive: true });
      fs.mkdirSync(dir);
      const bytes = Buffer.from(whole);
      for (const { at, bytes: noise } of changes) bytes.set(noise.slice(0, bytes.length - at), at);
      fs.writeFileSync(path.join(dir, segmentName(1)), bytes);
      const untouched = expected().filter(([position]) => {
        const [from, to] = [startOf(position - 1), startOf(position)];
        return bytes.subarray(from, to).equals(whole.subarray(from, to));
      });
      expect([...reopen(dir).records]).toEqual(untouched);
    }),
    { numRuns: 200 },
  );
}, 60_000);

test('a payload that looks like a record is not taken for one where a record is damaged', () => {
  const forged = group(['forged']).toString('latin1');
  appendAll(dir, ['a', forged, 'c']);
  edit(fileOf(0), (bytes) => flip(bytes, (SEGMENT_HEADER + RECORD_HEADER * 2 - 4) * 8));
  expect([...reopen(dir).records]).toEqual([
    [1, 'a'],
    [3, 'c'],
  ]);
});

test('a destroyed segment header costs no record', () => {
  appendAll(dir, PAYLOADS);
  edit(fileOf(0), (bytes) => bytes.fill(0, 0, SEGMENT_HEADER));
  const { records, damage, next } = reopen(dir);
  expect([...records]).toEqual(expected());
  expect(next).toBe(6);
  expect(damage.map((found) => found.kind)).toEqual(['segment_header']);
});

test('a segment of which nothing is left is told as missing records; later ones still come', () => {
  appendAll(dir, ['a', 'b'], 1);
  appendAll(dir, ['c', 'd'], 1);
  expect(segmentNames(dir)).toHaveLength(4);
  edit(fileOf(1), (bytes) => bytes.fill(0x77));
  const { records, damage, next } = reopen(dir);
  expect([...records]).toEqual([
    [1, 'a'],
    [3, 'c'],
    [4, 'd'],
  ]);
  expect(next).toBe(5);
  expect(damage.reduce((sum, found) => sum + found.records, 0)).toBe(1);
  expect(damage.some((found) => found.quarantined !== undefined)).toBe(true);
});

test('a lost segment in the middle is told; the position goes on after the newest', () => {
  appendAll(dir, ['a', 'b', 'c'], 1);
  fs.rmSync(fileOf(1));
  const { records, damage, next } = reopen(dir);
  expect([...records]).toEqual([
    [1, 'a'],
    [3, 'c'],
  ]);
  expect(damage).toMatchObject([{ kind: 'record', segment: segmentName(3), records: 1 }]);
  expect(next).toBe(4);
});

test('a crash while a segment is created leaves nothing behind', () => {
  appendAll(dir, ['a']);
  for (const bytes of [0, 7, 4096]) {
    fs.writeFileSync(path.join(dir, segmentName(2)), Buffer.alloc(bytes));
    const { records, damage, next } = reopen(dir);
    expect([...records]).toEqual([[1, 'a']]);
    expect(damage).toEqual([]);
    expect(next).toBe(2);
  }
});

test('restarts without a record make no segments', () => {
  appendAll(dir, ['a']);
  const { writer } = openWriter(dir);
  writer.release(1);
  writer.close();
  for (let i = 0; i < 3; i++) expect(reopen(dir).next).toBe(2);
  expect(segmentNames(dir)).toEqual([segmentName(2)]);
});

test('the same directory keeps its stream; one that lost its segments gets a new epoch', () => {
  const { recovered } = openWriter(dir);
  expect(recovered.identity).toEqual({ writer: 'w_01ARZ3NDEKTSV4RRFFQ69G5FAV', epoch: 1 });
  appendAll(dir, ['a']);
  const before = openWriter(dir).recovered.identity;
  fs.writeFileSync(path.join(dir, 'stream'), 'noise');
  expect(openWriter(dir).recovered.identity).toEqual(before);
  for (const name of segmentNames(dir)) fs.rmSync(path.join(dir, name));
  expect(openWriter(dir).recovered.identity).toEqual({ ...before, epoch: before.epoch + 1 });
});

test('a segment of another stream is moved away whole', () => {
  appendAll(dir, ['a', 'b']);
  const writer = 'w_01BX5ZZKBKACTAV9WEVGEMMVRZ';
  const foreign = encodeSegmentHeader({ first: 1, createdUs: 1, writer, epoch: 1 });
  fs.writeFileSync(fileOf(0), foreign);
  const other = 'w_01ARZ3NDEKTSV4RRFFQ69G5FAV';
  const own = encodeSegmentHeader({ first: 3, createdUs: 1, writer: other, epoch: 2 });
  fs.writeFileSync(path.join(dir, segmentName(3)), own);
  const { damage, recovered } = openWriter(dir);
  expect(recovered.identity.writer).toBe(other);
  expect(damage).toMatchObject([{ kind: 'foreign_segment', segment: segmentName(1) }]);
  expect(segmentNames(dir)).toEqual([segmentName(3)]);
  expect(fs.existsSync(path.join(dir, damage[0]?.quarantined ?? 'absent'))).toBe(true);
});

test('a newer format is refused and left as it is', () => {
  appendAll(dir, ['a']);
  edit(fileOf(0), (bytes) => newerVersion(bytes));
  const before = fs.readFileSync(fileOf(0));
  expect(() => reopen(dir)).toThrow(/version 2, known is 1/);
  expect(fs.readFileSync(fileOf(0)).equals(before)).toBe(true);
});

function newerVersion(bytes: Buffer): Buffer {
  const header = encodeSegmentHeader({
    first: 1,
    createdUs: 1e15,
    writer: 'w_01ARZ3NDEKTSV4RRFFQ69G5FAV',
    epoch: 1,
  });
  header.writeUInt16LE(2, 8);
  header.writeUInt32LE(crc32(header.subarray(0, 76)), 76);
  return Buffer.concat([header, bytes.subarray(SEGMENT_HEADER)]);
}

test('what cannot be read is an error, never an empty log', () => {
  appendAll(dir, ['a']);
  const failing = { ...realDisk };
  failing.read = () => {
    throw Object.assign(new Error('EIO: read'), { code: 'EIO' });
  };
  expect(() => openWriter(dir, { disk: failing })).toThrow(/cannot read wal segment .*EIO/);
  fs.rmSync(dir, { recursive: true });
  fs.writeFileSync(dir, 'a file where the directory should be');
  expect(() => openWriter(dir)).toThrow();
});

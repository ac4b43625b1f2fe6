import fs from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { group, reopen, temporaryDirectory } from '../../../test/support/log-dir.js';
import { realDisk } from './disk.js';
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  parseSegmentName,
  SEGMENT_HEADER,
  sealGroup,
  segmentName,
} from './format.js';
import { readIdentity, writeIdentity } from './identity.js';

/** Written by a program of its own from FORMAT.md alone. Never regenerate it with this code. */
const GOLDEN = new URL('../testdata/golden/', import.meta.url).pathname;
const NAME = '00000000000000000007.wal';
const PAYLOADS = ['{"content":"first"}', '', 'Grüße, 世界 🎈\n'];
const HEADER = {
  first: 7,
  createdUs: 1795000000123456,
  writer: 'w_01ARZ3NDEKTSV4RRFFQ69G5FAV',
  epoch: 3,
};

test('the encoder writes the golden segment to the byte', () => {
  const records = group(PAYLOADS);
  expect(sealGroup(records, 7)).toBe(3);
  const bytes = Buffer.concat([encodeSegmentHeader(HEADER), records]);
  expect(bytes.toString('hex')).toBe(fs.readFileSync(path.join(GOLDEN, NAME)).toString('hex'));
});

test('the golden directory opens, and its records come back', () => {
  const dir = temporaryDirectory();
  fs.cpSync(GOLDEN, dir, { recursive: true });
  const { records, damage, next } = reopen(dir);
  expect([...records]).toEqual(PAYLOADS.map((payload, i) => [7 + i, payload]));
  expect(damage).toEqual([]);
  expect(next).toBe(10);
  expect(readIdentity(realDisk, dir)).toEqual({ writer: HEADER.writer, epoch: 3 });
  fs.rmSync(dir, { recursive: true });
});

test('the file `stream` is written to the byte', () => {
  const dir = temporaryDirectory();
  writeIdentity(realDisk, dir, { writer: HEADER.writer, epoch: 3 });
  const golden = fs.readFileSync(path.join(GOLDEN, 'stream'), 'utf8');
  expect(fs.readFileSync(path.join(dir, 'stream'), 'utf8')).toBe(golden);
  fs.rmSync(dir, { recursive: true });
});

test('a header with any bit flipped is none', () => {
  const whole = encodeSegmentHeader(HEADER);
  expect(decodeSegmentHeader(whole)).toEqual({ version: 1, ...HEADER });
  for (let bit = 0; bit < SEGMENT_HEADER * 8; bit++) {
    const bytes = Buffer.from(whole);
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(decodeSegmentHeader(bytes)).toBeNull();
  }
});

test('names sort as their positions do, and other names are none', () => {
  expect(segmentName(48_213)).toBe('00000000000000048213.wal');
  expect(parseSegmentName(segmentName(2 ** 53 - 1))).toBe(2 ** 53 - 1);
  for (const name of ['1.wal', `${'0'.repeat(20)}.wal`, `${'9'.repeat(20)}.wal`, 'stream', 'x']) {
    expect(parseSegmentName(name)).toBeNull();
  }
});

test('sequences beyond 32 bits are exact', () => {
  const first = 2 ** 40 + 5;
  expect(decodeSegmentHeader(encodeSegmentHeader({ ...HEADER, first }))?.first).toBe(first);
});

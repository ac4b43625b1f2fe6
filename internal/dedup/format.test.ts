import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { known } from '../base/assert.js';
import { checkBlock, decodeFooter, encodeFooter } from './format.js';
import { Harness, hexKeys } from './harness.suite.js';

test('a run is laid out as FORMAT.md says', async () => {
  const harness = new Harness();
  try {
    await harness.open();
    const stored = await harness.store(hexKeys(250));
    const run = known(await harness.flush(), 'a run');
    const bytes = readFileSync(join(harness.dir, '..', run.path));
    const footer = bytes.subarray(bytes.length - 256);
    expect(createHash('sha256').update(footer).digest('hex')).toBe(run.checksum);
    expect(footer.toString('latin1', 0, 8)).toBe('MTDEDUP1');
    const doubles = [8, 16, 24, 32].map((at) => footer.readDoubleLE(at));
    expect(doubles).toEqual([250, 3, harness.nowUs, 1]);
    expect(footer.readUInt32LE(252)).toBe(crc32(footer.subarray(0, 252)));

    const hashes: string[] = [];
    const fences: number[] = [];
    for (let number = 0; number < 3; number++) {
      const block = bytes.subarray(number * 4096, (number + 1) * 4096);
      const count = block.readUInt32LE(4080);
      expect(count).toBe([102, 102, 46][number]);
      expect(block.readUInt32LE(4084)).toBe(number);
      expect(block.readUInt32LE(4088)).toBe(footer.readUInt32LE(88));
      expect(block.readUInt32LE(4092)).toBe(crc32(block.subarray(0, 4092)));
      expect(block.readDoubleLE(32)).toBe(harness.nowUs);
      fences.push(block.readUInt32LE(0));
      for (let i = 0; i < count; i++) {
        const words = [0, 4, 8, 12].map((at) => block.readUInt32LE(40 * i + at));
        hashes.push(words.map((word) => word.toString(16).padStart(8, '0')).join(''));
      }
    }
    expect(hashes).toEqual([...new Set(hashes)].sort());
    expect(hashes).toHaveLength(stored.length);
    const at = 3 * 4096;
    expect([0, 4, 8].map((i) => bytes.readUInt32LE(at + i))).toEqual(fences);
    expect(crc32(bytes.subarray(at, at + 12))).toBe(footer.readUInt32LE(80));
    const filter = bytes.subarray(at + 12, bytes.length - 256);
    expect(filter.length).toBe(footer.readUInt32LE(76));
    expect(filter.length).toBe(16 + (filter.readUInt32LE(0) * 5) / 4);
    expect(crc32(filter)).toBe(footer.readUInt32LE(84));
  } finally {
    await harness.end();
  }
});

test('a footer comes back, and none with a bit flipped', () => {
  const footer = {
    keys: 86_400_000,
    blocks: 847_059,
    newestUs: 1_800_000_000_123_456,
    through: 2 ** 40 + 1,
    secret: Uint8Array.from({ length: 32 }, (_, i) => i),
    partitions: 697,
    filterBytes: 2 ** 28,
    fencesCrc: 0xffffffff,
    filterCrc: 1,
    nonce: 2,
  };
  const bytes = encodeFooter(footer);
  expect(decodeFooter(bytes)).toEqual(footer);
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3] ^= 1 << (bit & 7);
    expect(decodeFooter(flipped)).toBeNull();
  }
});

test('a block is only believed in its place', () => {
  const words = new Uint32Array(2048);
  const bytes = new Uint8Array(words.buffer);
  words[1024 + 1020] = 5;
  words[1024 + 1021] = 9;
  words[1024 + 1022] = 77;
  words[1024 + 1023] = crc32(bytes.subarray(4096, 4096 + 4092));
  expect(checkBlock(bytes, words, { index: 1, number: 9, nonce: 77 })).toBe(5);
  expect(checkBlock(bytes, words, { index: 1, number: 8, nonce: 77 })).toBe(-1);
  expect(checkBlock(bytes, words, { index: 1, number: 9, nonce: 78 })).toBe(-1);
  expect(checkBlock(bytes, words, { index: 0, number: 9, nonce: 77 })).toBe(-1);
});

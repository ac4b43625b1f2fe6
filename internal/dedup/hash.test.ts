import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UlidFactory } from '../base/ulid.js';
import { KeyHasher } from './hash.js';
import { packId, unpackId } from './id.js';

const SECRET = new Uint8Array(32).fill(7);

function hashOf(orgId: string, key: string, secret = SECRET): string {
  const out = new Uint32Array(6);
  new KeyHasher(secret).hash({ orgId, key }, out, 1);
  expect([out[0], out[5]]).toEqual([0, 0]);
  return Buffer.from(out.buffer, 4, 16).toString('hex');
}

test('equal keys give equal bits; org, key and secret all count', () => {
  const hex = 'ab'.repeat(16);
  expect(hashOf('o', hex)).toBe(hashOf('o', hex));
  const all = [
    hashOf('o', hex),
    hashOf('p', hex),
    hashOf('o', hex.toUpperCase()),
    hashOf('o', `${hex} `),
    hashOf('o', ''),
    hashOf('o', 'ab'.repeat(15)),
    hashOf('o', hex, new Uint8Array(32).fill(8)),
  ];
  expect(new Set(all).size).toBe(all.length);
});

test('a string cannot be given the bits of the hex key that its own digest spells', () => {
  const text = 'order-4711';
  const spelled = createHash('sha256').update(text).digest('hex').slice(0, 32);
  expect(hashOf('o', text)).not.toBe(hashOf('o', spelled));
});

test('non-ASCII look-alikes of hex digits are strings, not hex', () => {
  const hex = '0'.repeat(32);
  // U+0130 has the low bits of "0".
  const fake = `\u0130${'0'.repeat(31)}`;
  expect(hashOf('o', fake)).not.toBe(hashOf('o', hex));
});

test('hex keys one bit apart spread over the whole width', () => {
  const seen = new Set<number>();
  for (let i = 0; i < 256; i++) {
    seen.add(Number.parseInt(hashOf('o', i.toString(16).padStart(32, '0')).slice(0, 4), 16));
  }
  expect(seen.size).toBeGreaterThan(240);
});

test('different keys of one organization never collide', () => {
  const keys = fc.oneof(fc.string({ maxLength: 40 }), fc.stringMatching(/^[0-9a-f]{32}$/));
  fc.assert(
    fc.property(keys, keys, (a, b) => {
      fc.pre(a !== b);
      expect(hashOf('o', a)).not.toBe(hashOf('o', b));
    }),
  );
});

test('ids survive packing; what is not an id is a bug', () => {
  const ulids = new UlidFactory();
  const words = new Uint32Array(8);
  for (const ms of [0, 1_795_000_000_123, 2 ** 48 - 1]) {
    for (let i = 0; i < 200; i++) {
      const id = `mem_${ulids.next(ms)}`;
      packId(id, words, 3);
      expect(unpackId(words, 3)).toBe(id);
    }
  }
  for (const id of ['', 'mem_', 'mem_8ZZZZZZZZZZZZZZZZZZZZZZZZZ', `mem_${'U'.repeat(26)}`]) {
    expect(() => packId(id, words, 0)).toThrow('ULID');
  }
});

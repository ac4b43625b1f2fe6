import { expect, test } from 'vitest';
import { RunFilter } from './filter.js';
import { FilterBuilder } from './filterbuild.js';

function hashes(count: number, seed: number): Uint32Array {
  const words = new Uint32Array(count * 4);
  let x = seed;
  for (let i = 0; i < words.length; i++) {
    x = Math.imul(x ^ (x >>> 15), 0x2c1b3c6d) + 0x9e3779b9;
    words[i] = x ^ (x >>> 13) ^ (x << 7);
  }
  return words;
}

function sorted(words: Uint32Array): Uint32Array {
  const order = Array.from({ length: words.length / 4 }, (_, i) => i);
  order.sort((a, b) => words[a * 4] - words[b * 4]);
  return Uint32Array.from(order.flatMap((i) => [...words.subarray(i * 4, i * 4 + 4)]));
}

function build(words: Uint32Array, expected: number): RunFilter {
  const builder = new FilterBuilder(expected);
  for (let at = 0; at < words.length; at += 4) builder.add(words, at);
  return new RunFilter(builder.finish());
}

for (const count of [0, 1, 2, 3, 10, 100, 1000, 20_000, 300_000]) {
  test(`${count} keys: every key is found, hardly any other`, () => {
    const keys = sorted(hashes(count, 42));
    const filter = build(keys, Math.max(count, 1));
    const hits = new Uint32Array(Math.max(count, 200_000));
    expect(filter.probe(keys, count, hits)).toBe(count);
    const others = hashes(200_000, 4711);
    const wrong = filter.probe(others, 200_000, hits);
    // 200,000 / 4096 = 49 are expected; 5 sigma more is 84.
    expect(wrong).toBeLessThan(90);
    if (count === 300_000) expect((filter.bytes * 8) / count).toBeLessThan(15);
  });
}

test('an expectation far off only costs space', () => {
  const keys = sorted(hashes(1000, 5));
  const filter = build(keys, 2_000_000);
  expect(filter.probe(keys, 1000, new Uint32Array(1000))).toBe(1000);
});

import { expect, test } from 'vitest';
import { FilterArena, openRoom, SLOT_BYTES } from './arena.js';
import { PARTITION_KEYS, partitionsOf, RunFilter } from './filter.js';
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
  const arena = new FilterArena();
  // Slots that held other filters before.
  const dirty = arena.take(6);
  for (const slot of openRoom(dirty)) slot.fill(0xa5);
  arena.give(dirty.slots);
  const room = arena.take(partitionsOf(expected));
  const builder = new FilterBuilder(openRoom(room));
  for (let at = 0; at < words.length; at += 4) builder.add(words, at);
  return new RunFilter(arena, room.slots, builder.finish());
}

for (const count of [0, 1, 2, 3, 10, 100, 1000, 20_000, 300_000]) {
  test(`${count} keys: every key is found, hardly any other`, () => {
    const keys = sorted(hashes(count, 42));
    const filter = build(keys, Math.max(count, 1));
    const hits = new Uint32Array(Math.max(count, 200_000));
    expect(filter.probe(keys, count, hits)).toBe(count);
    const others = hashes(200_000, 4711);
    const wrong = filter.probe(others, 200_000, hits);
    // 200,000 / 1024 = 195 are expected; 5 sigma more is 265.
    expect(wrong).toBeLessThan(270);
  });
}

test('an expectation far off only costs space', () => {
  const keys = sorted(hashes(1000, 5));
  const filter = build(keys, 2_000_000);
  expect(filter.probe(keys, 1000, new Uint32Array(1000))).toBe(1000);
});

test('a full slot takes 11.9 bits a key, and 6 sigma more keys than planned', () => {
  expect((SLOT_BYTES * 8) / PARTITION_KEYS).toBeLessThan(11.9);
  const count = PARTITION_KEYS + 2100;
  const keys = sorted(hashes(count, 77));
  const filter = build(keys, PARTITION_KEYS);
  const hits = new Uint32Array(count);
  expect(filter.probe(keys, count, hits)).toBe(count);
  expect(filter.probe(hashes(1000, 4), 1000, hits)).toBeLessThan(10);
});

test('a partition too full for a filter says perhaps to all', () => {
  const count = PARTITION_KEYS + 30_000;
  const filter = build(sorted(hashes(count, 78)), PARTITION_KEYS);
  expect(filter.probe(hashes(1000, 4), 1000, new Uint32Array(1000))).toBe(1000);
});

test('the arena hands out freed slots again before new ones', () => {
  const arena = new FilterArena();
  const first = arena.take(3);
  arena.give(first.slots);
  expect(new Set(arena.take(3).slots)).toEqual(new Set(first.slots));
  expect(arena.usedBytes).toBe(3 * SLOT_BYTES);
  const all = arena.take(800).slots;
  expect(new Set(all).size).toBe(800);
  expect(arena.views.length).toBe(3);
});

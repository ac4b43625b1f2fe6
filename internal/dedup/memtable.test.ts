import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EMPTY, FREED, Memtable, OPEN, SEALED, SETTLED, Shard } from './memtable.js';

/** Hashes whose second word collides a lot, as a probe chain is made of it. */
function hashOf(key: number): Uint32Array {
  return Uint32Array.of(0, key % 7, key, 0);
}

const ID = 'mem_01J00000000000000000000000';

test('a shard agrees with a map through inserts, removals and sweeps', () => {
  const action = fc.record({ kind: fc.nat({ max: 9 }), key: fc.nat({ max: 60 }) });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 300 }), (actions) => {
      const shard = new Shard();
      const model = new Map<number, number>();
      actions.forEach(({ kind, key }, step) => {
        const hash = hashOf(key);
        const slot = shard.find(hash, 0);
        expect(slot < 0 ? undefined : shard.timeUs(slot)).toBe(model.get(key));
        if (kind === 0) {
          shard.sweep((at) => shard.timeUs(at) % 2 === 0);
          shard.shrink();
          for (const [k, time] of model) if (time % 2 !== 0) model.delete(k);
        } else if (slot >= 0 && kind < 4) {
          shard.remove(slot);
          model.delete(key);
        } else if (slot < 0) {
          const to = shard.insert(hash, 0);
          shard.state[to] = OPEN;
          shard.setTimeUs(to, step);
          model.set(key, step);
        }
        expect(shard.used).toBe(model.size);
      });
      for (const [key, time] of model) {
        expect(shard.timeUs(shard.find(hashOf(key), 0))).toBe(time);
      }
    }),
    { numRuns: 300 },
  );
});

test('sealing takes durable entries up to a position, also those of a run that never came', () => {
  const mem = new Memtable();
  const shard = mem.shards[0];
  const states = [OPEN, SETTLED, SETTLED, SEALED, SEALED, FREED];
  states.forEach((state, key) => {
    const slot = shard.insert(hashOf(key), 0);
    shard.state[slot] = state;
    shard.setId(slot, ID);
    shard.setTimeUs(slot, 100 + key);
    shard.setPosition(slot, key);
  });
  const entries = new Uint32Array(60);
  const taken = mem.seal(shard, 3, entries);
  const sealed = Array.from({ length: taken }, (_, i) => entries[i * 10 + 2]);
  expect(sealed.sort()).toEqual([1, 2, 3]);
  const after = states.map((_, key) => shard.state[shard.find(hashOf(key), 0)]);
  // Entry 4 was in the run that never came: it is an ordinary durable entry again.
  expect(after).toEqual([OPEN, SEALED, SEALED, SEALED, SETTLED, FREED]);

  mem.sweep(shard, 104);
  const left = states.map((_, key) => {
    const slot = shard.find(hashOf(key), 0);
    return slot < 0 ? EMPTY : shard.state[slot];
  });
  expect(left).toEqual([OPEN, EMPTY, EMPTY, EMPTY, SETTLED, FREED]);
  mem.sweep(shard, 105);
  expect(shard.find(hashOf(5), 0)).toBe(-1);
  expect(mem.size).toBe(2);
});

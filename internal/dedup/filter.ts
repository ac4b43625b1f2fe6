import { BANK_SLOTS, type FilterArena, SLOT_BYTES } from './arena.js';

/**
 * The filter of a run: says "surely not here" or "perhaps", in memory, before the disk is asked.
 *
 * Binary fuse filters with three probes (Graf and Lemire, "Binary Fuse Filters: Fast and Smaller
 * Than Xor Filters", 2022), one for each partition of about 125,000 keys. A run is sorted by hash,
 * so partitions come one after another and a merge builds them with bounded memory.
 *
 * Fingerprints of 10 bits take 11.9 bits a key and err once in 1,024; a Bloom filter would need
 * 14.4. They stand in two planes: 8 bits, read for every key (three cache misses that overlap),
 * and 2 bits, read only where those match. So a miss costs as much as with 8-bit fingerprints.
 */
export const PARTITION_KEYS = 124_000;
/** What partitionOf can tell apart evenly: 127 million keys, eight times what a merge makes. */
const MAX_PARTITIONS = 1024;
/** Words that describe a partition: fingerprints, range, segment length, seed. */
export const SHAPE_WORDS = 4;
const UNIT = 2 ** -32;
/** Words of the table in memory: low plane, high plane, range, segment, seed, bank. */
const TABLE_WORDS = 8;

/** Slots of the arena that a run of up to `keys` keys needs; at most MAX_PARTITIONS. */
export function partitionsOf(keys: number): number {
  return Math.min(MAX_PARTITIONS, Math.max(1, Math.ceil(keys / PARTITION_KEYS)));
}

/** Bytes of a partition of `prints` fingerprints: the low plane, then the high one. */
export function partitionBytes(prints: number): number {
  return (prints * 5) / 4;
}

export class RunFilter {
  /** The arena's slots, one for each partition. */
  readonly slots: readonly number[];
  private readonly table: Uint32Array;
  private readonly banks: readonly Uint8Array[];

  /** @param shapes SHAPE_WORDS words for each slot */
  constructor(arena: FilterArena, slots: readonly number[], shapes: Uint32Array) {
    this.slots = slots;
    this.banks = arena.views;
    this.table = new Uint32Array(slots.length * TABLE_WORDS);
    slots.forEach((slot, i) => {
      const [prints, range, segment, seed] = shapes.subarray(i * SHAPE_WORDS);
      const low = (slot % BANK_SLOTS) * SLOT_BYTES;
      const bank = Math.floor(slot / BANK_SLOTS);
      this.table.set([low, low + prints, range, segment, seed, bank], i * TABLE_WORDS);
    });
  }

  /**
   * Tests the first `count` hashes (four words each); writes the indexes of those that may be in
   * the run to `hits` and returns how many they are. A loop over keys in one run, not over runs
   * for one key: the cache misses of neighbours overlap, which halves the cost in a batch.
   */
  probe(hashes: Uint32Array, count: number, hits: Uint32Array): number {
    const { table, banks } = this;
    const partitions = this.slots.length;
    let found = 0;
    for (let i = 0; i < count; i++) {
      const at = i * 4;
      const entry = partitionOf(hashes[at], partitions) * TABLE_WORDS;
      const low = table[entry] | 0;
      const segment = table[entry + 3] | 0;
      const seed = table[entry + 4];
      if (segment === 0) {
        // No filter could be built: everything is left to the disk.
        hits[found++] = i;
        continue;
      }
      const bytes = banks[table[entry + 5]];
      const spread = spreadOf(hashes[at + 2], seed);
      const x = startOf(hashes[at + 1], seed, table[entry + 2]);
      const y = (x + segment) ^ (spread & (segment - 1));
      const z = (x + 2 * segment) ^ ((spread >>> 16) & (segment - 1));
      const print = hashes[at + 3];
      if (((bytes[low + x] ^ bytes[low + y] ^ bytes[low + z] ^ print) & 255) !== 0) continue;
      const high = table[entry + 1];
      const rest = pair(bytes, high, x) ^ pair(bytes, high, y) ^ pair(bytes, high, z);
      if (rest === ((print >>> 8) & 3)) hits[found++] = i;
    }
    return found;
  }
}

function pair(bytes: Uint8Array, high: number, slot: number): number {
  return (bytes[high + (slot >> 2)] >>> ((slot & 3) << 1)) & 3;
}

/** The partition of a hash, by its highest 20 bits; in integers, which is 15 % of a probe. */
export function partitionOf(hash0: number, partitions: number): number {
  return Math.imul(hash0 >>> 12, partitions) >>> 20;
}

/** The first of a key's three places in its partition: uniform in 0 … range − 1. */
export function startOf(hash1: number, seed: number, range: number): number {
  let mixed = Math.imul(hash1 ^ seed, 0x9e3779b1);
  mixed ^= mixed >>> 15;
  return ((mixed >>> 0) * range * UNIT) | 0;
}

/** The offsets of the other two within the next segments: low and high half. */
export function spreadOf(hash2: number, seed: number): number {
  const mixed = Math.imul((hash2 | 0) + seed, 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
}

/**
 * The filter of a run: says "surely not here" or "perhaps", in memory, before the disk is asked.
 *
 * Binary fuse filters with three probes (Graf and Lemire, "Binary Fuse Filters: Fast and Smaller
 * Than Xor Filters", 2022), one for each partition of about 128 Ki keys. A run is sorted by hash,
 * so partitions come one after another and a merge builds them with bounded memory.
 *
 * Fingerprints of 12 bits take 14 bits a key and err once in 4,096; a Bloom filter would need 17.3.
 * They stand in two planes: 8 bits, read for every key (three cache misses that overlap), and 4
 * bits, read only where those match. So a miss costs as much as with 8-bit fingerprints.
 */
export const PARTITION_KEYS = 131_072;
/** Words of a partition in the table: offset, range, segment length, seed. */
export const TABLE_WORDS = 4;
const UNIT = 2 ** -32;

/** The parts of a filter, each in a buffer that can move between threads. */
export interface FilterParts {
  /** Four words a partition. */
  table: Uint32Array;
  /** The low 8 bits of every slot. */
  low: Uint8Array;
  /** The high 4 bits, two slots a byte. */
  high: Uint8Array;
}

export class RunFilter {
  readonly parts: FilterParts;
  private readonly partitions: number;
  private readonly table: Uint32Array;
  private readonly low: Uint8Array;
  private readonly high: Uint8Array;

  constructor(parts: FilterParts) {
    this.parts = parts;
    this.partitions = parts.table.length / TABLE_WORDS;
    this.table = parts.table;
    this.low = parts.low;
    this.high = parts.high;
  }

  get bytes(): number {
    return this.table.byteLength + this.low.byteLength + this.high.byteLength;
  }

  /**
   * Tests the first `count` hashes (four words each); writes the indexes of those that may be in
   * the run to `hits` and returns how many they are. A loop over keys in one run, not over runs
   * for one key: the cache misses of neighbours overlap, which halves the cost in a batch.
   */
  probe(hashes: Uint32Array, count: number, hits: Uint32Array): number {
    const { table, low } = this;
    const scale = this.partitions * UNIT;
    let found = 0;
    for (let i = 0; i < count; i++) {
      const at = i * 4;
      const entry = Math.floor(hashes[at] * scale) * TABLE_WORDS;
      const offset = table[entry];
      const segment = table[entry + 2];
      const seed = table[entry + 3];
      const start = startOf(hashes[at + 1], seed, table[entry + 1]);
      const spread = spreadOf(hashes[at + 2], seed);
      const x = offset + start;
      const y = offset + ((start + segment) ^ (spread & (segment - 1)));
      const z = offset + ((start + 2 * segment) ^ ((spread >>> 16) & (segment - 1)));
      if (((low[x] ^ low[y] ^ low[z] ^ hashes[at + 3]) & 255) !== 0) continue;
      const high = this.nibble(x) ^ this.nibble(y) ^ this.nibble(z);
      if (high === ((hashes[at + 3] >>> 8) & 15)) hits[found++] = i;
    }
    return found;
  }

  private nibble(slot: number): number {
    return (this.high[slot >> 1] >>> ((slot & 1) << 2)) & 15;
  }
}

/** The first of the three slots, relative to the partition: uniform in 0 … range − 1. */
export function startOf(hash1: number, seed: number, range: number): number {
  let mixed = Math.imul(hash1 ^ seed, 0x9e3779b1);
  mixed ^= mixed >>> 15;
  return Math.floor((mixed >>> 0) * range * UNIT);
}

/** The offsets of the other two within their segments: low and high half. */
export function spreadOf(hash2: number, seed: number): number {
  const mixed = Math.imul(hash2 + seed, 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
}

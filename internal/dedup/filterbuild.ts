import { assert } from '../base/assert.js';
import { type FilterParts, PARTITION_KEYS, spreadOf, startOf } from './filter.js';

/** Fewer than one attempt in ten fails at the sizes used; a hundred in a row mean a bug. */
const MAX_ATTEMPTS = 100;
const MAX_SEGMENT = 1 << 16;

/** Builds a RunFilter from hashes in ascending order; the sizing is that of the paper. */
export class FilterBuilder {
  private readonly partitions: number;
  private readonly table: number[] = [];
  private low: Uint8Array;
  private high: Uint8Array;
  private slots = 0;
  private current = 0;
  private count = 0;
  private keys = new Uint32Array(3 * 4096);
  private readonly peeler = new Peeler();

  /**
   * @param expectedKeys an upper bound; it sets the number of partitions. Space for all of them is
   * reserved at once, so that no second copy is needed; pages never touched cost nothing.
   */
  constructor(expectedKeys: number) {
    this.partitions = Math.max(1, Math.ceil(expectedKeys / PARTITION_KEYS));
    const slots = Math.ceil(expectedKeys * 1.2) + 8192;
    this.low = new Uint8Array(slots);
    this.high = new Uint8Array(slots >> 1);
  }

  /** Takes the hash at words[at…at+3]; not below the one before. */
  add(words: Uint32Array, at: number): void {
    const partition = Math.floor(words[at] * (this.partitions * 2 ** -32));
    while (this.current < partition) this.closePartition();
    if (this.count * 3 === this.keys.length) {
      const bigger = new Uint32Array(this.keys.length * 2);
      bigger.set(this.keys);
      this.keys = bigger;
    }
    const to = this.count++ * 3;
    for (let i = 0; i < 3; i++) this.keys[to + i] = words[at + 1 + i];
  }

  /** The filter's parts; the builder is done then. */
  finish(): FilterParts {
    while (this.current < this.partitions) this.closePartition();
    return {
      table: Uint32Array.from(this.table),
      low: this.low.subarray(0, this.slots),
      high: this.high.subarray(0, (this.slots + 1) >> 1),
    };
  }

  private closePartition(): void {
    const { range, segment, seed, slots } = this.peeler.build(this.keys, this.count);
    this.table.push(this.slots, range, segment, seed);
    this.reserve(this.slots + slots.length + 1);
    for (const print of slots) {
      this.low[this.slots] = print & 255;
      this.high[this.slots >> 1] |= (print >>> 8) << ((this.slots & 1) << 2);
      this.slots++;
    }
    this.current++;
    this.count = 0;
  }

  private reserve(slots: number): void {
    if (slots <= this.low.length && slots <= this.high.length * 2) return;
    const [low, high] = [this.low, this.high];
    this.low = new Uint8Array(Math.ceil(slots * 1.1));
    this.high = new Uint8Array(Math.ceil(slots * 0.55) + 1);
    this.low.set(low);
    this.high.set(high);
  }
}

interface Partition {
  range: number;
  segment: number;
  seed: number;
  slots: Uint16Array;
}

/** Solves one partition: finds an order in which each key owns a slot that no later key touches. */
class Peeler {
  private segment = 1;
  private range = 1;
  private seed = 0;
  private keys = new Uint32Array(0);
  private degree = new Uint8Array(0);
  private mixed = new Uint32Array(0);
  private queue = new Uint32Array(0);
  private order = new Uint32Array(0);
  private owned = new Uint32Array(0);
  private readonly at = new Uint32Array(3);

  build(keys: Uint32Array, count: number): Partition {
    const length = this.size(count);
    this.keys = keys;
    if (this.degree.length < length) this.grow(length, count);
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      this.seed = Math.imul(attempt + 1, 0x6a09e667) >>> 0;
      if (!this.peel(count, length)) continue;
      const { range, segment, seed } = this;
      return { range, segment, seed, slots: this.assign(count, length) };
    }
    assert(false, 'a filter partition can be built');
  }

  private size(count: number): number {
    const log = Math.log(Math.max(count, 2));
    const segment = 2 ** Math.max(2, Math.floor(log / Math.log(3.33) + 2.25));
    this.segment = Math.min(segment, MAX_SEGMENT);
    const factor = Math.max(1.125, 0.875 + (0.25 * Math.log(1e6)) / log);
    const segments = Math.max(1, Math.ceil((count * factor) / this.segment) - 2);
    this.range = segments * this.segment;
    return this.range + 2 * this.segment;
  }

  private grow(length: number, count: number): void {
    const room = Math.ceil(Math.max(length, count) * 1.1);
    this.degree = new Uint8Array(room);
    this.mixed = new Uint32Array(room);
    this.queue = new Uint32Array(room);
    this.order = new Uint32Array(room);
    this.owned = new Uint32Array(room);
  }

  private locate(key: number): void {
    const start = startOf(this.keys[key * 3], this.seed, this.range);
    const spread = spreadOf(this.keys[key * 3 + 1], this.seed);
    const mask = this.segment - 1;
    this.at[0] = start;
    this.at[1] = (start + this.segment) ^ (spread & mask);
    this.at[2] = (start + 2 * this.segment) ^ ((spread >>> 16) & mask);
  }

  private peel(count: number, length: number): boolean {
    const { degree, mixed, queue, at } = this;
    degree.fill(0, 0, length);
    mixed.fill(0, 0, length);
    for (let key = 0; key < count; key++) {
      this.locate(key);
      for (let i = 0; i < 3; i++) {
        // A slot of 255 keys never occurs in a solvable partition; wrapping would be wrong.
        if (++degree[at[i]] === 255) return false;
        mixed[at[i]] ^= key;
      }
    }
    let waiting = 0;
    for (let slot = 0; slot < length; slot++) if (degree[slot] === 1) queue[waiting++] = slot;
    let peeled = 0;
    while (waiting > 0) {
      const slot = queue[--waiting];
      if (degree[slot] !== 1) continue;
      const key = mixed[slot];
      this.order[peeled] = key;
      this.owned[peeled++] = slot;
      this.locate(key);
      for (let i = 0; i < 3; i++) {
        mixed[at[i]] ^= key;
        if (--degree[at[i]] === 1) queue[waiting++] = at[i];
      }
    }
    return peeled === count;
  }

  private assign(count: number, length: number): Uint16Array {
    const slots = new Uint16Array(length);
    const at = this.at;
    for (let i = count - 1; i >= 0; i--) {
      const key = this.order[i];
      this.locate(key);
      const print = this.keys[key * 3 + 2] & 0xfff;
      slots[this.owned[i]] = print ^ slots[at[0]] ^ slots[at[1]] ^ slots[at[2]];
    }
    return slots;
  }
}

import { SLOT_PRINTS } from './arena.js';
import {
  PARTITION_KEYS,
  partitionBytes,
  partitionOf,
  SHAPE_WORDS,
  spreadOf,
  startOf,
} from './filter.js';

/** Fewer than one attempt in ten fails at the sizes used; a hundred in a row never do. */
const MAX_ATTEMPTS = 100;
const MAX_SEGMENT = 4096;

/** Buffers of builders that are done: a run is built every few seconds, for ever. */
const spareKeys: Uint32Array[] = [];

/** Builds a filter from hashes in ascending order; the sizing is that of the paper. */
export class FilterBuilder {
  private readonly room: readonly Uint8Array[];
  private readonly shapes: Uint32Array;
  private current = 0;
  private count = 0;
  private keys: Uint32Array = spareKeys.pop() ?? new Uint32Array(3 * PARTITION_KEYS);

  /** @param room a slot of the arena for each partition; they are overwritten */
  constructor(room: readonly Uint8Array[]) {
    this.room = room;
    this.shapes = new Uint32Array(room.length * SHAPE_WORDS);
  }

  /** Takes the hash at words[at…at+3]; not below the one before. */
  add(words: Uint32Array, at: number): void {
    const partition = partitionOf(words[at], this.room.length);
    while (this.current < partition) this.closePartition();
    if (this.count * 3 === this.keys.length) {
      const bigger = new Uint32Array(this.keys.length * 2);
      bigger.set(this.keys);
      this.keys = bigger;
    }
    const to = this.count++ * 3;
    for (let i = 0; i < 3; i++) this.keys[to + i] = words[at + 1 + i];
  }

  /** Completes the slots; returns the partitions' shapes. The builder is done then. */
  finish(): Uint32Array {
    while (this.current < this.room.length) this.closePartition();
    spareKeys.push(this.keys);
    return this.shapes;
  }

  private closePartition(): void {
    const { range, segment, seed, prints } = peeler.build(this.keys, this.count) ?? NO_FILTER;
    const count = range + 2 * segment;
    this.shapes.set([count, range, segment, seed], this.current * SHAPE_WORDS);
    const bytes = this.room[this.current];
    bytes.fill(0, count, partitionBytes(count));
    for (let i = 0; i < count; i++) {
      bytes[i] = prints[i] & 255;
      bytes[count + (i >> 2)] |= (prints[i] >>> 8) << ((i & 3) << 1);
    }
    this.current++;
    this.count = 0;
  }
}

interface Partition {
  range: number;
  segment: number;
  seed: number;
  /** Valid until the next call. */
  prints: Uint16Array;
}

/** Says "perhaps" to every key. */
const NO_FILTER: Partition = { range: 0, segment: 0, seed: 0, prints: new Uint16Array(0) };

/** Solves one partition: finds an order in which each key owns a slot that no later key touches. */
class Peeler {
  private segment = 1;
  private range = 1;
  private seed = 0;
  private keys: Uint32Array = new Uint32Array(0);
  private readonly degree = new Uint8Array(SLOT_PRINTS);
  private readonly mixed = new Uint32Array(SLOT_PRINTS);
  private readonly queue = new Uint32Array(SLOT_PRINTS);
  private readonly order = new Uint32Array(SLOT_PRINTS);
  private readonly owned = new Uint32Array(SLOT_PRINTS);
  private readonly prints = new Uint16Array(SLOT_PRINTS);
  private readonly at = new Uint32Array(3);

  build(keys: Uint32Array, count: number): Partition | null {
    const length = this.size(count);
    this.keys = keys;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      this.seed = Math.imul(attempt + 1, 0x6a09e667) >>> 0;
      if (!this.peel(count, length)) continue;
      this.assign(count, length);
      const { range, segment, seed, prints } = this;
      return { range, segment, seed, prints };
    }
    return null;
  }

  private size(count: number): number {
    const log = Math.log(Math.max(count, 2));
    const segment = 2 ** Math.max(2, Math.floor(log / Math.log(3.33) + 2.25));
    this.segment = Math.min(segment, MAX_SEGMENT);
    const factor = Math.max(1.125, 0.875 + (0.25 * Math.log(1e6)) / log);
    const wanted = Math.ceil((count * factor) / this.segment);
    // A partition that chance filled up more than planned makes do with its slot.
    const segments = Math.min(wanted, SLOT_PRINTS / this.segment) - 2;
    this.range = Math.max(1, segments) * this.segment;
    return this.range + 2 * this.segment;
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

  private assign(count: number, length: number): void {
    const { prints, at } = this;
    prints.fill(0, 0, length);
    for (let i = count - 1; i >= 0; i--) {
      const key = this.order[i];
      this.locate(key);
      const print = this.keys[key * 3 + 2] & 0x3ff;
      prints[this.owned[i]] = print ^ prints[at[0]] ^ prints[at[1]] ^ prints[at[2]];
    }
  }
}

/** One for the thread: building is synchronous, and its 3 MB are not made anew for every run. */
const peeler = new Peeler();

import { packId, sameWords, unpackId } from './id.js';

/** What a slot of the memtable holds. */
export const EMPTY = 0;
/** Claimed; the log has not answered yet. */
export const OPEN = 1;
/** Durable in the log at `position`. */
export const SETTLED = 2;
/** As SETTLED, and in a run that was written but is not in the catalog, or is just leaving. */
export const SEALED = 3;
/** Nobody holds the key, whatever runs say: its newest claim stood here when it was freed. */
export const FREED = 4;
/** Nobody holds the key if its newest run names this very id as the holder. */
export const FREED_IN_RUN = 5;

const SHARDS = 256;
const FIRST_CAPACITY = 16;
/** Words of a slot: 4 hash, 4 id, 2 time (float64), 2 position (float64). */
const SLOT_WORDS = 12;
const TIME = 4;
const POSITION = 5;
/** Words of a sealed entry: hash, id, time. */
export const ENTRY_WORDS = 10;

/**
 * One of 256 hash tables by the first byte of the hash: open addressing, linear probing, numbers
 * only, so that the garbage collector has nothing to trace. Being small, each grows and is
 * swept in microseconds; one big table would stop the event loop for that.
 */
export class Shard {
  capacity = FIRST_CAPACITY;
  used = 0;
  /** The most slots used since the last `shrink`. */
  private peak = 0;
  state = new Uint8Array(FIRST_CAPACITY);
  words = new Uint32Array(FIRST_CAPACITY * SLOT_WORDS);
  floats = new Float64Array(this.words.buffer);

  /** The slot of the hash at hashes[at…at+3], or −1. */
  find(hashes: Uint32Array, at: number): number {
    const mask = this.capacity - 1;
    let slot = hashes[at + 1] & mask;
    while (this.state[slot] !== EMPTY) {
      if (sameWords(this.words, slot * SLOT_WORDS, hashes, at)) return slot;
      slot = (slot + 1) & mask;
    }
    return -1;
  }

  /** A slot for a hash that is not there; its state is the caller's to set. */
  insert(hashes: Uint32Array, at: number): number {
    if (this.used * 4 >= this.capacity * 3) this.rebuild(this.capacity * 2);
    const slot = this.freeSlot(hashes[at + 1]);
    const to = slot * SLOT_WORDS;
    for (let i = 0; i < 4; i++) this.words[to + i] = hashes[at + i];
    this.used++;
    if (this.used > this.peak) this.peak = this.used;
    return slot;
  }

  private freeSlot(hash1: number): number {
    const mask = this.capacity - 1;
    let slot = hash1 & mask;
    while (this.state[slot] !== EMPTY) slot = (slot + 1) & mask;
    return slot;
  }

  /** Empties the slot and moves later ones of its probe chain up. */
  remove(slot: number): void {
    const mask = this.capacity - 1;
    let hole = slot;
    let next = slot;
    for (;;) {
      next = (next + 1) & mask;
      if (this.state[next] === EMPTY) break;
      const home = this.words[next * SLOT_WORDS + 1] & mask;
      // Its home lies cyclically after the hole: it must stay where it is.
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.words.copyWithin(hole * SLOT_WORDS, next * SLOT_WORDS, (next + 1) * SLOT_WORDS);
      this.state[hole] = this.state[next];
      hole = next;
    }
    this.state[hole] = EMPTY;
    this.used--;
  }

  /**
   * Keeps the slots that `keep` wants. In place, so that the usual round of filling up and being
   * emptied makes no garbage; a table that is far too big is replaced.
   */
  sweep(keep: (slot: number) => boolean): void {
    for (let slot = 0; slot < this.capacity; ) {
      // Removal may move another one here, which is looked at next.
      if (this.state[slot] === EMPTY || keep(slot)) slot++;
      else this.remove(slot);
    }
  }

  /** Gives memory back if the table has been far too big for the keys of late. */
  shrink(): void {
    const wanted = Math.max(FIRST_CAPACITY, 2 ** Math.ceil(Math.log2(this.peak * 2)));
    if (wanted * 4 <= this.capacity) this.rebuild(wanted);
    this.peak = this.used;
  }

  private rebuild(capacity: number): void {
    const from = { capacity: this.capacity, state: this.state, words: this.words };
    this.capacity = capacity;
    this.state = new Uint8Array(capacity);
    this.words = new Uint32Array(capacity * SLOT_WORDS);
    this.floats = new Float64Array(this.words.buffer);
    for (let slot = 0; slot < from.capacity; slot++) {
      if (from.state[slot] === EMPTY) continue;
      const at = slot * SLOT_WORDS;
      const to = this.freeSlot(from.words[at + 1]);
      for (let i = 0; i < SLOT_WORDS; i++) this.words[to * SLOT_WORDS + i] = from.words[at + i];
      this.state[to] = from.state[slot];
    }
  }

  id(slot: number): string {
    return unpackId(this.words, slot * SLOT_WORDS + 4);
  }

  setId(slot: number, id: string): void {
    packId(id, this.words, slot * SLOT_WORDS + 4);
  }

  /** Whether the slot's id is the one at words[at…at+3]. */
  hasId(slot: number, words: Uint32Array, at: number): boolean {
    return sameWords(this.words, slot * SLOT_WORDS + 4, words, at);
  }

  timeUs(slot: number): number {
    return this.floats[slot * 6 + TIME];
  }

  setTimeUs(slot: number, timeUs: number): void {
    this.floats[slot * 6 + TIME] = timeUs;
  }

  position(slot: number): number {
    return this.floats[slot * 6 + POSITION];
  }

  setPosition(slot: number, position: number): void {
    this.floats[slot * 6 + POSITION] = position;
  }

  /** Copies what a run keeps of the slot to out[at…]. */
  copyEntry(slot: number, out: Uint32Array, at: number): void {
    const from = slot * SLOT_WORDS;
    for (let i = 0; i < ENTRY_WORDS; i++) out[at + i] = this.words[from + i];
  }
}

/** The keys that no visible run holds: claims, durable claims, and freed keys. */
export class Memtable {
  readonly shards = Array.from({ length: SHARDS }, () => new Shard());

  shardOf(hash0: number): Shard {
    return this.shards[hash0 >>> 24];
  }

  get size(): number {
    return this.shards.reduce((sum, shard) => sum + shard.used, 0);
  }

  get bytes(): number {
    return this.shards.reduce((sum, shard) => sum + shard.capacity * (SLOT_WORDS * 4 + 1), 0);
  }

  /**
   * Writes the durable entries of positions up to `through` of one shard to `out`, unsorted; they
   * become SEALED. Entries of a run that never came to the catalog are taken again. Shards in
   * their order give entries by ascending first byte of the hash.
   *
   * @returns how many they are
   */
  seal(shard: Shard, through: number, out: Uint32Array): number {
    let taken = 0;
    for (let slot = 0; slot < shard.capacity; slot++) {
      const state = shard.state[slot];
      if (state !== SETTLED && state !== SEALED) continue;
      const due = shard.position(slot) <= through;
      shard.state[slot] = due ? SEALED : SETTLED;
      if (due) shard.copyEntry(slot, out, taken++ * ENTRY_WORDS);
    }
    return taken;
  }

  /** Lets go of what a visible run holds, and of freed keys older than the window. */
  sweep(shard: Shard, expiredUs: number): void {
    shard.sweep((slot) => {
      const state = shard.state[slot];
      const freed = state === FREED || state === FREED_IN_RUN;
      return freed ? shard.timeUs(slot) > expiredUs : state !== SEALED;
    });
    shard.shrink();
  }
}

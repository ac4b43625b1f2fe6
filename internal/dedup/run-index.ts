import { basename, join } from 'node:path';
import { assert } from '../base/assert.js';
import { Mutex } from '../base/mutex.js';
import type { UlidFactory } from '../base/ulid.js';
import type {
  DedupCatalog,
  DedupEntry,
  DedupHolder,
  DedupIndex,
  DedupKey,
  DedupRun,
  DedupStats,
} from './dedup.js';
import { partitionsOf } from './filter.js';
import type { KeyHasher } from './hash.js';
import { packId } from './id.js';
import type { Maintainer } from './maintain.js';
import {
  EMPTY,
  ENTRY_WORDS,
  FREED,
  Memtable,
  OPEN,
  SEALED,
  SETTLED,
  type Shard,
} from './memtable.js';
import type { Question, Run, RunHolder, RunSet } from './runset.js';
import type { RunThread } from './thread.js';
import { Waiters } from './waiters.js';

export interface IndexParts {
  dir: string;
  windowUs: number;
  secret: Uint8Array;
  hasher: KeyHasher;
  runs: RunSet;
  reader: RunThread;
  writer: RunThread;
  catalog: DedupCatalog;
  maintainer: Maintainer;
  ulids: UlidFactory;
}

/** One call of reserve: the keys, their hashes, and what the disk said about them so far. */
interface Round {
  entries: readonly DedupEntry[];
  hashes: Uint32Array;
  expiredUs: number;
  /** By the key of `answerKey`. */
  answers: Map<number, RunHolder | null> | null;
}

interface AskedRound extends Round {
  answers: Map<number, RunHolder | null>;
}

interface Begun {
  round: Round;
  questions: Question[];
  /** Some questions were not put, as the memtable knew better at that moment. */
  declined: boolean;
}

/** Keys swept out of the memtable between two turns of the event loop. */
const SWEEP_SLICE = 20_000;

/** The index of openDedup: a memtable in front of immutable runs. */
export class RunIndex implements DedupIndex {
  private readonly parts: IndexParts;
  private readonly mem = new Memtable();
  private readonly waiters = new Waiters();
  private readonly sealing = new Mutex();
  /** Durable, but not in the catalog yet. */
  private sealed: Run | null = null;
  private sweeping: Promise<void> = Promise.resolve();
  private scratch = new Uint32Array(4096);
  private readonly freedId = new Uint32Array(4);

  constructor(parts: IndexParts) {
    this.parts = parts;
  }

  reserve(entries: readonly DedupEntry[], nowUs: number): Promise<(DedupHolder | null)[]> {
    const begun = this.begin(entries, nowUs);
    if (begun.questions.length === 0) return Promise.resolve(this.claimAll(begun.round));
    // The scratch is the next call's as soon as this one waits.
    const hashes = begun.round.hashes.slice(0, entries.length * 4);
    return this.reserveSlowly({ ...begun.round, hashes, answers: new Map() }, begun);
  }

  /**
   * reserve without waiting; null (and no claim) if the disk must be asked. A fresh key needs that
   * once in about 4,096 for each run.
   */
  tryReserve(entries: readonly DedupEntry[], nowUs: number): (DedupHolder | null)[] | null {
    const { round, questions } = this.begin(entries, nowUs);
    return questions.length > 0 ? null : this.claimAll(round);
  }

  private begin(entries: readonly DedupEntry[], nowUs: number): Begun {
    const { maintainer, runs, hasher, windowUs } = this.parts;
    maintainer.tick(nowUs);
    const count = entries.length;
    if (this.scratch.length < count * 4) this.scratch = new Uint32Array(count * 8);
    const hashes = this.scratch;
    for (let i = 0; i < count; i++) hasher.hash(entries[i], hashes, i * 4);
    const expiredUs = nowUs - windowUs;
    let declined = false;
    const questions = runs.questions(hashes, count, expiredUs, (index) => {
      const decided = this.decided(hashes, index);
      declined ||= decided;
      return !decided;
    });
    return { round: { entries, hashes, expiredUs, answers: null }, questions, declined };
  }

  /** Claims are made in a turn that leaves nothing to ask. */
  private async reserveSlowly(round: AskedRound, begun: Begun): Promise<(DedupHolder | null)[]> {
    const { runs } = this.parts;
    const { version } = runs;
    await this.ask(round, begun.questions);
    // The usual case: nothing can have come in between that was not asked about.
    if (runs.version === version && !begun.declined) return this.claimAll(round);
    const { entries, hashes, expiredUs, answers } = round;
    for (;;) {
      const questions = runs.questions(
        hashes,
        entries.length,
        expiredUs,
        (index, run) => !answers.has(answerKey(index, run)) && !this.decided(hashes, index),
      );
      if (questions.length === 0) return this.claimAll(round);
      await this.ask(round, questions);
    }
  }

  private async ask({ hashes, answers }: AskedRound, questions: Question[]): Promise<void> {
    const found = await this.parts.runs.ask(questions, hashes);
    questions.forEach(({ index, run }, i) => {
      answers.set(answerKey(index, run), found[i]);
    });
  }

  /** Whether the memtable knows the key's newest claim, so that runs do not matter. */
  private decided(hashes: Uint32Array, index: number): boolean {
    const shard = this.mem.shardOf(hashes[index * 4]);
    const slot = shard.find(hashes, index * 4);
    return slot >= 0 && shard.state[slot] !== FREED;
  }

  private claimAll(round: Round): (DedupHolder | null)[] {
    const holders: (DedupHolder | null)[] = new Array(round.entries.length);
    for (let i = 0; i < holders.length; i++) holders[i] = this.claim(round, i);
    return holders;
  }

  private claim(round: Round, index: number): DedupHolder | null {
    const { entries, hashes, expiredUs } = round;
    const shard = this.mem.shardOf(hashes[index * 4]);
    let slot = shard.find(hashes, index * 4);
    const state = slot < 0 ? EMPTY : shard.state[slot];
    if (
      state === OPEN ||
      ((state === SETTLED || state === SEALED) && shard.timeUs(slot) > expiredUs)
    ) {
      return this.holderAt(shard, slot);
    }
    if (round.answers !== null && (state === EMPTY || state === FREED)) {
      const held = this.heldByRun(round, index);
      const freed = held !== null && state === FREED && shard.id(slot) === held.id;
      if (held !== null && !freed && held.ingestedUs > expiredUs) return held;
    }
    if (slot < 0) slot = shard.insert(hashes, index * 4);
    shard.state[slot] = OPEN;
    shard.setId(slot, entries[index].id);
    shard.setTimeUs(slot, entries[index].ingestedUs);
    return null;
  }

  private holderAt(shard: Shard, slot: number): DedupHolder {
    const id = shard.id(slot);
    const ingestedUs = shard.timeUs(slot);
    if (shard.state[slot] !== OPEN) return { id, ingestedUs };
    return { id, ingestedUs, settled: this.waiters.settled(id) };
  }

  /** The newest run that has the key speaks for all. */
  private heldByRun({ answers }: Round, index: number): RunHolder | null {
    for (const run of this.parts.runs.runs) {
      const held = answers?.get(answerKey(index, run));
      if (held) return held;
    }
    return null;
  }

  settle(entries: readonly DedupEntry[], position: number): void {
    for (const entry of entries) {
      const { shard, slot } = this.openClaim(entry);
      shard.state[slot] = SETTLED;
      shard.setPosition(slot, position);
      this.waiters.resolve(entry.id, true);
    }
  }

  abandon(entries: readonly DedupEntry[]): void {
    for (const entry of entries) {
      const { shard, slot } = this.openClaim(entry);
      shard.remove(slot);
      this.waiters.resolve(entry.id, false);
    }
  }

  private openClaim(key: DedupKey): { shard: Shard; slot: number } {
    const at = this.locate(key);
    assert(at.slot >= 0 && at.shard.state[at.slot] === OPEN, 'the claim is open');
    return at;
  }

  private locate(key: DedupKey): { shard: Shard; slot: number } {
    this.parts.hasher.hash(key, this.scratch, 0);
    const shard = this.mem.shardOf(this.scratch[0]);
    return { shard, slot: shard.find(this.scratch, 0) };
  }

  free(key: DedupKey, id: string): boolean {
    const at = this.locate(key);
    let slot = at.slot;
    const state = slot < 0 ? EMPTY : at.shard.state[slot];
    if (state === OPEN) return false;
    packId(id, this.freedId, 0);
    if (state === SETTLED || state === SEALED) {
      if (!at.shard.hasId(slot, this.freedId, 0)) return false;
    } else {
      const { runs, maintainer } = this.parts;
      const anyRun = runs.questions(this.scratch, 1, maintainer.expiredUs, () => true);
      if (anyRun.length === 0) return false;
      if (slot < 0) slot = at.shard.insert(this.scratch, 0);
      at.shard.setId(slot, id);
    }
    at.shard.state[slot] = FREED;
    at.shard.setTimeUs(slot, this.parts.maintainer.nowUs);
    return true;
  }

  replay(entry: DedupEntry, position: number): void {
    const at = this.locate(entry);
    const slot = at.slot < 0 ? at.shard.insert(this.scratch, 0) : at.slot;
    assert(at.shard.state[slot] !== OPEN, 'a replay comes before the first claim');
    at.shard.state[slot] = SETTLED;
    at.shard.setId(slot, entry.id);
    at.shard.setTimeUs(slot, entry.ingestedUs);
    at.shard.setPosition(slot, position);
  }

  seal(through: number): Promise<DedupRun | null> {
    return this.sealing.run(() => this.sealNow(through));
  }

  private async sealNow(through: number): Promise<DedupRun | null> {
    if (this.sealed?.row.through === through) return this.sealed.row;
    await this.sweeping;
    await this.settleDoubt();
    const taken = await this.take(through);
    if (taken.length === 0) return null;
    const { dir, writer, runs, secret, ulids } = this.parts;
    const name = `${ulids.next(Date.now())}.run`;
    const file = join(dir, name);
    const keys = taken.reduce((sum, part) => sum + part.length / ENTRY_WORDS, 0);
    const buffers = taken.map((part) => part.buffer as ArrayBuffer);
    const { written, filter } = await runs.withRoom(partitionsOf(keys), (room) =>
      writer.call('seal', { file, parts: taken, secret, through, room }, buffers),
    );
    const { shapes: _, ...facts } = written;
    const row: DedupRun = { path: `${basename(dir)}/${name}`, through, ...facts };
    const opened = await runs.open(row, file);
    assert(typeof opened !== 'string', 'a run just written is whole');
    opened.run.filter = filter;
    this.sealed = opened.run;
    return row;
  }

  /** A run that was never committed: its transaction may still have gone through unnoticed. */
  private async settleDoubt(): Promise<void> {
    const { sealed } = this;
    if (sealed === null) return;
    const rows = await this.parts.catalog.dedupRuns();
    if (rows.some((row) => row.path === sealed.row.path)) {
      this.commit(sealed.row);
      await this.sweeping;
      return;
    }
    this.sealed = null;
    this.parts.runs.close([sealed]);
    await this.parts.writer.call('remove', [sealed.file]);
  }

  /** The entries up to a position, shard by shard; the loop is released in between. */
  private async take(through: number): Promise<Uint32Array[]> {
    const parts: Uint32Array[] = [];
    let taken = 0;
    for (const shard of this.mem.shards) {
      const part = this.mem.seal(shard, through);
      if (part.length > 0) parts.push(part);
      taken += shard.used;
      if (taken < SWEEP_SLICE) continue;
      taken = 0;
      await nextTurn();
    }
    return parts;
  }

  commit(run: DedupRun): void {
    const { sealed } = this;
    assert(sealed !== null && sealed.row.path === run.path, 'the run sealed last is committed');
    this.sealed = null;
    this.parts.runs.swap([], sealed);
    this.sweeping = this.sweep();
    this.parts.maintainer.kick();
  }

  private async sweep(): Promise<void> {
    let seen = 0;
    for (const shard of this.mem.shards) {
      seen += shard.used;
      this.mem.sweep(shard, this.parts.maintainer.expiredUs);
      if (seen < SWEEP_SLICE) continue;
      seen = 0;
      await nextTurn();
    }
  }

  /** Counters and sizes for metrics; `memoryBytes` is what grows with keys. */
  stats(): DedupStats {
    const { runs } = this.parts;
    return {
      runs: runs.runs.length,
      runKeys: runs.runs.reduce((sum, run) => sum + run.row.keys, 0),
      pendingKeys: this.mem.size,
      memoryBytes: runs.arena.usedBytes + this.mem.bytes,
      diskLookups: runs.diskLookups,
      diskHits: runs.diskHits,
      merges: this.parts.maintainer.merges,
      mergedKeys: this.parts.maintainer.mergedKeys,
    };
  }

  /** Resolves when filters are loaded and no merge is due. For tests and benchmarks. */
  async idle(): Promise<void> {
    await this.sweeping;
    await this.parts.maintainer.idle();
  }

  async close(): Promise<void> {
    this.waiters.giveUp();
    await this.sweeping;
    await this.parts.maintainer.stop();
    await Promise.all([this.parts.reader.end(), this.parts.writer.end()]);
  }
}

/** Run numbers stay below 2^31, so this is unique and exact. */
function answerKey(index: number, run: Run): number {
  return index * 2 ** 31 + run.number;
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

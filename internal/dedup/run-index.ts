import { assert } from '../base/assert.js';
import type {
  DedupEntry,
  DedupHolder,
  DedupIndex,
  DedupKey,
  DedupRun,
  DedupStats,
} from './dedup.js';
import type { KeyHasher } from './hash.js';
import { packId } from './id.js';
import {
  EMPTY,
  FREED,
  FREED_IN_RUN,
  Memtable,
  OPEN,
  SEALED,
  SETTLED,
  type Shard,
} from './memtable.js';
import type { Question, Run, RunHolder } from './runset.js';
import { Sealer, type SealerParts } from './sealer.js';
import type { RunThread } from './thread.js';
import { Waiters } from './waiters.js';

export interface IndexParts extends SealerParts {
  windowUs: number;
  hasher: KeyHasher;
  reader: RunThread;
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

/** The index of openDedup: a memtable in front of immutable runs (sealer.ts, maintain.ts). */
export class RunIndex implements DedupIndex {
  private readonly parts: IndexParts;
  private readonly mem = new Memtable();
  private readonly waiters = new Waiters();
  private readonly sealer: Sealer;
  private scratch = new Uint32Array(4096);
  /** By the id of an open claim: the freed slot that it took. */
  private readonly freedUnder = new Map<string, { state: number; id: string; timeUs: number }>();
  private readonly freedId = new Uint32Array(4);

  constructor(parts: IndexParts) {
    this.parts = parts;
    this.sealer = new Sealer(parts, this.mem);
  }

  async reserve(entries: readonly DedupEntry[], nowUs: number): Promise<(DedupHolder | null)[]> {
    const begun = this.begin(entries, nowUs);
    if (begun.questions.length === 0) return this.claimAll(begun.round);
    // The scratch is the next call's as soon as this one waits.
    const hashes = begun.round.hashes.slice(0, entries.length * 4);
    return this.reserveSlowly({ ...begun.round, hashes, answers: new Map() }, begun);
  }

  /**
   * reserve without waiting; null (and no claim) if the disk must be asked. A fresh key needs that
   * once in about 1,024 for each run.
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
    return slot >= 0 && shard.state[slot] !== FREED_IN_RUN;
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
    const durable = state === SETTLED || state === SEALED;
    if (state === OPEN || (durable && shard.timeUs(slot) > expiredUs)) {
      return this.holderAt(shard, slot);
    }
    if (round.answers !== null && (state === EMPTY || state === FREED_IN_RUN)) {
      const held = this.heldByRun(round, index);
      const freed = held !== null && state === FREED_IN_RUN && shard.id(slot) === held.id;
      if (held !== null && !freed && held.ingestedUs > expiredUs) return held;
    }
    if (slot < 0) slot = shard.insert(hashes, index * 4);
    else if (!durable) this.remember(entries[index].id, shard, slot);
    shard.state[slot] = OPEN;
    shard.setId(slot, entries[index].id);
    shard.setTimeUs(slot, entries[index].ingestedUs);
    return null;
  }

  /** A claim on a freed key: should it be given up, the key must still be known as free. */
  private remember(claimId: string, shard: Shard, slot: number): void {
    const [state, id, timeUs] = [shard.state[slot], shard.id(slot), shard.timeUs(slot)];
    this.freedUnder.set(claimId, { state, id, timeUs });
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
      if (this.freedUnder.size > 0) this.freedUnder.delete(entry.id);
    }
  }

  abandon(entries: readonly DedupEntry[]): void {
    for (const entry of entries) {
      const { shard, slot } = this.openClaim(entry);
      this.waiters.resolve(entry.id, false);
      const freed = this.freedUnder.get(entry.id);
      if (freed === undefined) {
        shard.remove(slot);
        continue;
      }
      this.freedUnder.delete(entry.id);
      shard.state[slot] = freed.state;
      shard.setId(slot, freed.id);
      shard.setTimeUs(slot, freed.timeUs);
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
    const { shard, slot } = this.locate(key);
    const state = slot < 0 ? EMPTY : shard.state[slot];
    if (state === OPEN || state === FREED) return false;
    if (state === EMPTY || state === FREED_IN_RUN) return this.freeInRun(shard, slot, id);
    packId(id, this.freedId, 0);
    if (!shard.hasId(slot, this.freedId, 0)) return false;
    shard.state[slot] = FREED;
    shard.setTimeUs(slot, this.parts.maintainer.nowUs);
    return true;
  }

  /** For the key in the scratch. Whom its newest run names will show with the next reserve. */
  private freeInRun(shard: Shard, slot: number, id: string): boolean {
    const { runs, maintainer } = this.parts;
    const perhaps = runs.questions(this.scratch, 1, maintainer.expiredUs, () => true);
    if (perhaps.length === 0) return false;
    const at = slot < 0 ? shard.insert(this.scratch, 0) : slot;
    shard.state[at] = FREED_IN_RUN;
    shard.setId(at, id);
    shard.setTimeUs(at, maintainer.nowUs);
    return true;
  }

  replay(entry: DedupEntry, position: number): void {
    // Past the window when it came (an import) or by now: it must not push out one that is not.
    if (entry.ingestedUs <= this.parts.maintainer.expiredUs) return;
    const at = this.locate(entry);
    const slot = at.slot < 0 ? at.shard.insert(this.scratch, 0) : at.slot;
    assert(at.shard.state[slot] !== OPEN, 'a replay comes before the first claim');
    at.shard.state[slot] = SETTLED;
    at.shard.setId(slot, entry.id);
    at.shard.setTimeUs(slot, entry.ingestedUs);
    at.shard.setPosition(slot, position);
  }

  seal(through: number): Promise<DedupRun | null> {
    return this.sealer.seal(through);
  }

  commit(run: DedupRun): void {
    this.sealer.commit(run);
  }

  hold(): () => void {
    return this.parts.maintainer.hold();
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
    await this.sealer.swept();
    await this.parts.maintainer.idle();
  }

  async close(): Promise<void> {
    this.waiters.giveUp();
    await this.sealer.swept();
    await this.parts.maintainer.stop();
    await Promise.all([this.parts.reader.end(), this.parts.writer.end()]);
  }
}

/** Run numbers stay below 2^31, so this is unique and exact. */
function answerKey(index: number, run: Run): number {
  return index * 2 ** 31 + run.number;
}

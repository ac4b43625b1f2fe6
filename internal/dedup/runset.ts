import { FilterArena, type FilterRoom } from './arena.js';
import type { DedupDamage, DedupRun } from './dedup.js';
import { RunFilter } from './filter.js';
import { ENTRIES_PER_BLOCK } from './format.js';
import { unpackId } from './id.js';
import { ANSWER_WORDS, QUESTION_WORDS } from './protocol.js';
import type { RunThread } from './thread.js';

/** A visible run. */
export interface Run {
  /** Its name between the threads; never used twice. */
  readonly number: number;
  readonly row: DedupRun;
  readonly file: string;
  /** Null while it is not loaded: then every key may be in the run. */
  filter: RunFilter | null;
  /** Of the filter. */
  readonly partitions: number;
  /** It must be written anew: its filter or some of its blocks are damaged. */
  rewrite: boolean;
  readonly damagedBlocks: Set<number>;
}

/** Does the run hold key `index` of the batch? Only the disk knows. */
export interface Question {
  index: number;
  run: Run;
}

/** What the disk said: the holder, or null. */
export interface RunHolder {
  id: string;
  ingestedUs: number;
}

/** The visible runs, newest first: of two runs with one key the newer one is right. */
export class RunSet {
  readonly arena = new FilterArena();
  runs: Run[] = [];
  /** Counts the changes of `runs`. */
  version = 0;
  /** Lookups that had to go to the disk, and those that found their key there. */
  diskLookups = 0;
  diskHits = 0;
  private readonly reader: RunThread;
  private readonly onDamage: (damage: DedupDamage) => void;
  private hits = new Uint32Array(1024);
  private lastNumber = 0;

  constructor(reader: RunThread, onDamage: (damage: DedupDamage) => void) {
    this.reader = reader;
    this.onDamage = onDamage;
  }

  /** Opens a run for lookups; it is not visible yet. Returns why it is damaged, if it is. */
  async open(row: DedupRun, file: string): Promise<{ run: Run; secret: Uint8Array } | string> {
    const number = ++this.lastNumber;
    const got = await this.reader.call('open', { number, file, checksum: row.checksum });
    if ('damaged' in got) return got.damaged;
    const run = {
      number,
      row,
      file,
      partitions: got.partitions,
      filter: null,
      rewrite: false,
      damagedBlocks: new Set<number>(),
    };
    return { run, secret: got.secret };
  }

  /**
   * Lets `write` fill the slots of a filter for up to `keys` keys; they are free again unless it
   * returns the shapes of a filter in them.
   */
  async withRoom<T extends { shapes: Uint32Array } | null>(
    partitions: number,
    write: (room: FilterRoom) => Promise<T>,
  ): Promise<{ written: T; filter: RunFilter | null }> {
    const room = this.arena.take(partitions);
    let filter: RunFilter | null = null;
    try {
      const written = await write(room);
      if (written !== null) filter = new RunFilter(this.arena, room.slots, written.shapes);
      return { written, filter };
    } finally {
      if (filter === null) this.arena.give(room.slots);
    }
  }

  /** Puts `added` in the place of `removed` (or in front) and closes those. */
  swap(removed: readonly Run[], added: Run | null): void {
    const at = removed.length === 0 ? 0 : this.runs.indexOf(removed[0]);
    this.version++;
    this.runs = this.runs.filter((run) => !removed.includes(run));
    if (added !== null) this.runs.splice(at, 0, added);
    this.close(removed);
  }

  /** Lookups that were sent before still find the runs open: messages keep their order. */
  close(runs: readonly Run[]): void {
    if (runs.length === 0) return;
    const numbers = runs.map((run) => run.number);
    // Only a dead thread refuses, and with it the files are closed.
    this.reader.call('close', numbers).catch(() => undefined);
    for (const run of runs) {
      this.arena.give(run.filter?.slots ?? []);
      run.filter = null;
    }
  }

  /**
   * What the disk must be asked about the first `count` hashes before they can be called new:
   * every pair of key and run that the filters leave open and `wanted` does not decline.
   */
  questions(
    hashes: Uint32Array,
    count: number,
    expiredUs: number,
    wanted: (index: number, run: Run) => boolean,
  ): Question[] {
    const open: Question[] = [];
    if (this.hits.length < count) this.hits = new Uint32Array(count * 2);
    for (const run of this.runs) {
      if (run.row.newestUs <= expiredUs) continue;
      const found = run.filter === null ? count : run.filter.probe(hashes, count, this.hits);
      for (let i = 0; i < found; i++) {
        const index = run.filter === null ? i : this.hits[i];
        if (wanted(index, run)) open.push({ index, run });
      }
    }
    return open;
  }

  /** Asks the disk; the answers stand in the order of the questions. */
  async ask(questions: readonly Question[], hashes: Uint32Array): Promise<(RunHolder | null)[]> {
    const words = new Uint32Array(questions.length * QUESTION_WORDS);
    questions.forEach(({ index, run }, i) => {
      words[i * QUESTION_WORDS] = run.number;
      for (let word = 0; word < 4; word++) {
        words[i * QUESTION_WORDS + 1 + word] = hashes[index * 4 + word];
      }
    });
    const { answers, damaged } = await this.reader.call('find', words);
    this.diskLookups += questions.length;
    for (const [number, block] of damaged) this.noteDamage(number, block);
    return questions.map((_, i) => this.holder(answers, i * ANSWER_WORDS));
  }

  private holder(answers: Uint32Array, at: number): RunHolder | null {
    if (answers[at] === 0) return null;
    this.diskHits++;
    const time = new Float64Array(answers.slice(at + 5, at + 7).buffer);
    return { id: unpackId(answers, at + 1), ingestedUs: time[0] };
  }

  /** The keys of the block are lost, which is said once; the others are saved by a rewrite. */
  private noteDamage(number: number, block: number): void {
    const run = this.runs.find((other) => other.number === number);
    if (run === undefined) return;
    run.rewrite = true;
    this.reportBlocks(run, [block]);
  }

  reportBlocks(run: Run, blocks: readonly number[]): void {
    const fresh = blocks.filter((block) => !run.damagedBlocks.has(block));
    if (fresh.length === 0) return;
    for (const block of fresh) run.damagedBlocks.add(block);
    const reason = `blocks ${fresh.join(', ')} are damaged`;
    this.onDamage({ path: run.row.path, reason, keys: fresh.length * ENTRIES_PER_BLOCK });
  }
}

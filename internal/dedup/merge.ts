import { CHUNK_BLOCKS, giveChunk, takeChunk } from './chunks.js';
import { BLOCK_BYTES, BLOCK_WORDS, checkBlock, ENTRY_WORDS } from './format.js';
import type { RunFile } from './runfile.js';
import type { RunWriter } from './runwriter.js';

const TIME = ENTRY_WORDS - 2;

/** Walks a run in order, 128 KiB at a time; notes damaged blocks and goes on behind them. */
export class Cursor {
  /** The current entry stands at words[at…]; false when past the end. */
  readonly words = takeChunk();
  at = 0;
  valid = false;
  readonly damagedBlocks: number[] = [];
  private readonly bytes = new Uint8Array(this.words.buffer);
  private readonly run: RunFile;
  /** First block of the chunk, blocks in it, and the one that the cursor is in. */
  private first = 0;
  private loaded = 0;
  private index = -1;
  private left = 0;

  constructor(run: RunFile) {
    this.run = run;
    this.next();
  }

  next(): void {
    if (this.left > 1) {
      this.left--;
      this.at += ENTRY_WORDS;
      return;
    }
    do {
      this.index++;
      if (this.index >= this.loaded && !this.load()) return;
      this.left = checkBlock(this.bytes, this.words, {
        index: this.index,
        number: this.first + this.index,
        nonce: this.run.footer.nonce,
      });
      if (this.left < 0) this.damagedBlocks.push(this.first + this.index);
    } while (this.left <= 0);
    this.at = this.index * BLOCK_WORDS;
    this.valid = true;
  }

  /** The buffer goes to the next user. */
  close(): void {
    giveChunk(this.words);
  }

  private load(): boolean {
    this.first += this.loaded;
    this.index = 0;
    this.loaded = Math.min(CHUNK_BLOCKS, this.run.footer.blocks - this.first);
    this.valid = this.loaded > 0;
    if (this.valid) this.fill();
    return this.valid;
  }

  private fill(): void {
    const wanted = this.bytes.subarray(0, this.loaded * BLOCK_BYTES);
    if (this.run.tryRead(wanted, this.first * BLOCK_BYTES)) return;
    // Part of the chunk is unreadable: find out which, so that the rest is not lost with it.
    for (let i = 0; i < this.loaded; i++) {
      const block = wanted.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
      if (!this.run.tryRead(block, (this.first + i) * BLOCK_BYTES)) block.fill(0xff);
    }
  }
}

/**
 * Merges runs into one, entry by entry: of equal hashes the newest run's entry wins, and what is
 * not younger than expiredUs goes. A generator: it yields after every `slice` entries read, so
 * that its thread can do other things in between.
 *
 * @param cursors newest run first
 */
export function* mergeRuns(cursors: Cursor[], writer: RunWriter, expiredUs: number, slice: number) {
  const time = new Float64Array(1);
  const timeWords = new Uint32Array(time.buffer);
  let live = cursors.filter((cursor) => cursor.valid);
  let read = 0;
  while (live.length > 0) {
    const least = leastOf(live);
    timeWords[0] = least.words[least.at + TIME];
    timeWords[1] = least.words[least.at + TIME + 1];
    if (time[0] > expiredUs) writer.add(least.words, least.at);
    for (const cursor of live) {
      if (cursor !== least && compare(cursor, least) === 0) cursor.next();
    }
    least.next();
    if (live.some(isDone)) live = live.filter((cursor) => cursor.valid);
    if (++read % slice === 0) yield;
  }
}

function isDone(cursor: Cursor): boolean {
  return !cursor.valid;
}

/** The cursor with the least hash; of equal ones the first, which is the newest. */
function leastOf(cursors: Cursor[]): Cursor {
  let least = cursors[0];
  for (let i = 1; i < cursors.length; i++) {
    if (compare(cursors[i], least) < 0) least = cursors[i];
  }
  return least;
}

function compare(a: Cursor, b: Cursor): number {
  for (let i = 0; i < 4; i++) {
    const difference = a.words[a.at + i] - b.words[b.at + i];
    if (difference !== 0) return difference;
  }
  return 0;
}

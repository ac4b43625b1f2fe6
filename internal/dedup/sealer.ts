import { basename, join } from 'node:path';
import { assert } from '../base/assert.js';
import { Mutex } from '../base/mutex.js';
import type { UlidFactory } from '../base/ulid.js';
import type { DedupCatalog, DedupRun } from './dedup.js';
import { partitionsOf } from './filter.js';
import type { Maintainer } from './maintain.js';
import { ENTRY_WORDS, type Memtable } from './memtable.js';
import type { Run, RunSet } from './runset.js';
import type { RunThread } from './thread.js';

export interface SealerParts {
  dir: string;
  secret: Uint8Array;
  runs: RunSet;
  writer: RunThread;
  catalog: DedupCatalog;
  maintainer: Maintainer;
  ulids: UlidFactory;
}

/** Keys handled between two turns of the event loop: about 2 ms. */
const SLICE = 20_000;
const KEPT_STAGING_BYTES = 8 * 1024 * 1024;

/** From memtable to run: seal makes it durable, commit visible; then the memtable lets go. */
export class Sealer {
  private readonly parts: SealerParts;
  private readonly mem: Memtable;
  private readonly turn = new Mutex();
  /** Durable, but not in the catalog yet. */
  private sealed: Run | null = null;
  private sweeping: Promise<void> = Promise.resolve();
  private staging = new SharedArrayBuffer(0);

  constructor(parts: SealerParts, mem: Memtable) {
    this.parts = parts;
    this.mem = mem;
  }

  seal(through: number): Promise<DedupRun | null> {
    return this.turn.run(() => this.sealNow(through));
  }

  private async sealNow(through: number): Promise<DedupRun | null> {
    if (this.sealed?.row.through === through) return this.sealed.row;
    await this.sweeping;
    await this.settleDoubt();
    const { staging, counts } = await this.take(through);
    const keys = counts.reduce((sum, count) => sum + count, 0);
    if (keys === 0) return null;
    const { dir, writer, runs, secret, ulids } = this.parts;
    const name = `${ulids.next(Date.now())}.run`;
    const file = join(dir, name);
    const { written, filter } = await runs.withRoom(partitionsOf(keys), (room) =>
      writer.call('seal', { file, staging, counts, secret, through, room }),
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
  private async take(through: number): Promise<{ staging: SharedArrayBuffer; counts: number[] }> {
    const staging = this.stage(this.mem.size * ENTRY_WORDS * 4);
    const words = new Uint32Array(staging);
    const counts: number[] = [];
    let at = 0;
    let seen = 0;
    for (const shard of this.mem.shards) {
      const count = this.mem.seal(shard, through, words.subarray(at));
      counts.push(count);
      at += count * ENTRY_WORDS;
      seen += shard.used;
      if (seen < SLICE) continue;
      seen = 0;
      await nextTurn();
    }
    return { staging, counts };
  }

  /** A buffer that the writer thread reads in place; kept for the next seal unless it is huge. */
  private stage(bytes: number): SharedArrayBuffer {
    if (this.staging.byteLength >= bytes) return this.staging;
    const buffer = new SharedArrayBuffer(Math.ceil((bytes * 1.25) / 4096) * 4096);
    if (buffer.byteLength <= KEPT_STAGING_BYTES) this.staging = buffer;
    return buffer;
  }

  commit(run: DedupRun): void {
    const { sealed } = this;
    assert(sealed !== null && sealed.row.path === run.path, 'the run sealed last is committed');
    this.sealed = null;
    this.parts.runs.swap([], sealed);
    this.sweeping = this.sweep();
    this.parts.maintainer.kick();
  }

  /** Resolves when the memtable has let go of the keys of the run committed last. */
  swept(): Promise<void> {
    return this.sweeping;
  }

  private async sweep(): Promise<void> {
    let seen = 0;
    for (const shard of this.mem.shards) {
      seen += shard.used;
      this.mem.sweep(shard, this.parts.maintainer.expiredUs);
      if (seen < SLICE) continue;
      seen = 0;
      await nextTurn();
    }
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

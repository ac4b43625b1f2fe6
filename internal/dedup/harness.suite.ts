import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UlidFactory } from '../base/ulid.js';
import type { DedupCatalog, DedupDamage, DedupEntry, DedupRun } from './dedup.js';
import { openDedup } from './open.js';
import type { RunIndex } from './run-index.js';

export const HOUR = 3_600_000_000;
export const WINDOW = 24 * HOUR;
export const START = 1_800_000_000_000_000;

/** A catalog in memory that can fail before or after it did its work. */
export class MemoryCatalog implements DedupCatalog {
  rows: DedupRun[] = [];
  fail: 'before' | 'after' | null = null;

  async dedupRuns(): Promise<DedupRun[]> {
    return [...this.rows].sort((a, b) => a.through - b.through);
  }

  async replaceDedupRuns(removed: readonly string[], added: readonly DedupRun[]): Promise<void> {
    const { fail } = this;
    this.fail = null;
    if (fail === 'before') throw new Error('the catalog is out of reach');
    this.rows = this.rows.filter((row) => !removed.includes(row.path)).concat(added);
    if (fail === 'after') throw new Error('the answer of the catalog was lost');
  }
}

/** An index with its catalog, its log and a directory, which survive `crash`. */
export class Harness {
  readonly dir = join(mkdtempSync(join(tmpdir(), 'dedup-')), 'dedup');
  readonly catalog = new MemoryCatalog();
  readonly damage: DedupDamage[] = [];
  readonly errors: unknown[] = [];
  readonly log: { position: number; entries: readonly DedupEntry[] }[] = [];
  private readonly ulids: UlidFactory;
  private opened: RunIndex | null = null;
  nowUs = START;
  /** Up to where the catalog covers the log. */
  covered = 0;

  constructor(random: () => number = Math.random) {
    this.ulids = new UlidFactory(random);
  }

  get index(): RunIndex {
    if (this.opened === null) throw new Error('open() comes first');
    return this.opened;
  }

  async open(): Promise<RunIndex> {
    const { dir, catalog, nowUs, ulids } = this;
    this.opened = await openDedup({
      dir,
      windowUs: WINDOW,
      runs: await catalog.dedupRuns(),
      catalog,
      nowUs,
      ulids,
      onDamage: (damage) => this.damage.push(damage),
      onError: (error) => this.errors.push(error),
    });
    for (const { position, entries } of this.log) {
      if (position <= this.covered) continue;
      for (const entry of entries) this.opened.replay(entry, position);
    }
    return this.opened;
  }

  /** Ends the index as kill -9 would: what is not in files, catalog or log is gone. */
  async crash(): Promise<RunIndex> {
    await this.index.close();
    return this.open();
  }

  async end(): Promise<void> {
    await this.opened?.close();
    rmSync(join(this.dir, '..'), { recursive: true, force: true });
  }

  entry(key: string, orgId = 'org_1'): DedupEntry {
    return { orgId, key, id: `mem_${this.ulids.next(this.nowUs / 1000)}`, ingestedUs: this.nowUs };
  }

  settle(entries: readonly DedupEntry[]): number {
    const position = this.log.length + 1;
    this.log.push({ position, entries });
    this.index.settle(entries, position);
    return position;
  }

  /** Stores new keys; returns their entries. */
  async store(keys: readonly string[], orgId?: string): Promise<DedupEntry[]> {
    const entries = keys.map((key) => this.entry(key, orgId));
    const holders = await this.index.reserve(entries, this.nowUs);
    if (holders.some((holder) => holder !== null)) throw new Error('a key is taken');
    this.settle(entries);
    return entries;
  }

  /** Who holds each key, by id; whatever was free is free again afterwards. */
  async holders(keys: readonly string[], orgId?: string): Promise<(string | null)[]> {
    const entries = keys.map((key) => this.entry(key, orgId));
    const holders = await this.index.reserve(entries, this.nowUs);
    this.index.abandon(entries.filter((_, i) => holders[i] === null));
    return holders.map((holder) => holder?.id ?? null);
  }

  async flush(through = this.log.length): Promise<DedupRun | null> {
    const run = await this.index.seal(through);
    if (run !== null) this.catalog.rows.push(run);
    this.covered = through;
    if (run !== null) this.index.commit(run);
    return run;
  }

  files(): string[] {
    return readdirSync(this.dir).sort();
  }
}

/** A seeded generator: uniform in [0, 1). */
export function seeded(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), 1 | state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function hexKeys(count: number, seed = 1): string[] {
  const random = seeded(seed);
  const digit = (): string => Math.floor(random() * 16).toString(16);
  return Array.from({ length: count }, () => Array.from({ length: 32 }, digit).join(''));
}

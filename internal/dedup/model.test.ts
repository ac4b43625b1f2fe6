import { afterEach, expect, test } from 'vitest';
import type { DedupEntry, DedupHolder } from './dedup.js';
import { Harness, HOUR, hexKeys, seeded, WINDOW } from './harness.suite.js';

/** Random histories against a plain Map with time. The seed is in the name of a failed test. */
interface Held {
  id: string;
  ingestedUs: number;
  open: boolean;
}

const KEYS = [...hexKeys(60, 7), 'order 1', 'order 2', '', 'ключ', 'A'.repeat(128)];
const ORGS = ['org_1', 'org_2'];

class Model {
  readonly held = new Map<string, Held>();
  readonly gone = new Set<string>();

  holder(entry: DedupEntry, nowUs: number): Held | null {
    const held = this.held.get(nameOf(entry));
    if (held === undefined) return null;
    if (held.open) return held;
    return held.ingestedUs > nowUs - WINDOW && !this.gone.has(held.id) ? held : null;
  }
}

class History {
  readonly model = new Model();
  readonly harness: Harness;
  private readonly random: () => number;
  private readonly open: { entries: DedupEntry[]; before: Map<string, Held | undefined> }[] = [];

  constructor(seed: number) {
    this.random = seeded(seed);
    this.harness = new Harness(this.random);
  }

  async step(): Promise<void> {
    const dice = this.random();
    if (dice < 0.5) return this.reserve();
    if (dice < 0.7) return this.finish();
    if (dice < 0.78) return this.remove();
    if (dice < 0.85) return this.flush();
    if (dice < 0.88) return void (await this.harness.index.seal(this.position()));
    if (dice < 0.93) return this.pass();
    if (dice < 0.97) return this.harness.index.idle();
    return this.crash();
  }

  private below(n: number): number {
    return Math.floor(this.random() * n);
  }

  private position(): number {
    const { covered, log } = this.harness;
    return covered + this.below(log.length - covered + 1);
  }

  private async reserve(): Promise<void> {
    const { harness, model } = this;
    const entries = Array.from({ length: 1 + this.below(8) }, () =>
      harness.entry(KEYS[this.below(KEYS.length)], ORGS[this.below(ORGS.length)]),
    );
    const holders = await this.reserveFreeing(entries);
    const mine = entries.filter((_, i) => holders[i] === null);
    const before = new Map<string, Held | undefined>();
    entries.forEach((entry, i) => {
      const expected = model.holder(entry, harness.nowUs);
      expect(holders[i]?.id ?? null).toBe(expected?.id ?? null);
      if (expected !== null) {
        expect(holders[i]?.ingestedUs).toBe(expected.ingestedUs);
        expect(holders[i]?.settled !== undefined).toBe(expected.open);
        return;
      }
      before.set(nameOf(entry), model.held.get(nameOf(entry)));
      model.held.set(nameOf(entry), { ...entry, open: true });
    });
    if (mine.length > 0) this.open.push({ entries: mine, before });
  }

  /** As the way in does it: holders whose event is gone are freed, then all is tried again. */
  private async reserveFreeing(entries: DedupEntry[]): Promise<(DedupHolder | null)[]> {
    const { index, nowUs } = this.harness;
    for (let round = 0; round < 20; round++) {
      const holders = await index.reserve(entries, nowUs);
      const gone = entries.filter((_, i) => this.model.gone.has(holders[i]?.id ?? ''));
      if (gone.length === 0) return holders;
      index.abandon(entries.filter((_, i) => holders[i] === null));
      entries.forEach((entry, i) => {
        const id = holders[i]?.id ?? '';
        if (this.model.gone.has(id)) index.free(entry, id);
      });
    }
    throw new Error('a gone holder keeps coming back');
  }

  private finish(): void {
    const claim = this.open.splice(this.below(this.open.length), 1)[0];
    if (claim === undefined) return;
    const { held } = this.model;
    if (this.random() < 0.8) {
      this.harness.settle(claim.entries);
      for (const entry of claim.entries) held.set(nameOf(entry), { ...entry, open: false });
      return;
    }
    this.harness.index.abandon(claim.entries);
    for (const [name, was] of claim.before) restore(held, name, was);
  }

  private remove(): void {
    const settled = [...this.model.held.values()].filter((held) => !held.open);
    const victim = settled[this.below(settled.length)];
    if (victim !== undefined) this.model.gone.add(victim.id);
  }

  private async flush(): Promise<void> {
    await this.harness.flush(this.position());
  }

  private pass(): void {
    this.harness.nowUs += this.below(3 * HOUR);
  }

  private async crash(): Promise<void> {
    for (const { before } of this.open.splice(0)) {
      for (const [name, was] of before) restore(this.model.held, name, was);
    }
    await this.harness.crash();
  }
}

function nameOf({ orgId, key }: DedupEntry): string {
  return `${orgId}/${key}`;
}

function restore(held: Map<string, Held>, name: string, was: Held | undefined): void {
  if (was === undefined) held.delete(name);
  else held.set(name, was);
}

let history: History | null = null;
afterEach(() => history?.harness.end());

const RANDOM_SEED = Math.floor(Math.random() * 2 ** 31);
for (const seed of [1, 2, 3, 157_327_076, RANDOM_SEED]) {
  test(`the index agrees with a plain map (seed ${seed})`, { timeout: 120_000 }, async () => {
    history = new History(seed);
    await history.harness.open();
    for (let i = 0; i < 600; i++) await history.step();
    expect(history.harness.damage).toEqual([]);
    expect(history.harness.errors).toEqual([]);
  });
}

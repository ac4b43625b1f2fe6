import { basename, join } from 'node:path';
import type { UlidFactory } from '../base/ulid.js';
import type { DedupCatalog, DedupDamage } from './dedup.js';
import { partitionsOf } from './filter.js';
import { planMerge } from './plan.js';
import type { Run, RunSet } from './runset.js';
import type { RunThread } from './thread.js';

export interface MaintainerParts {
  dir: string;
  windowUs: number;
  secret: Uint8Array;
  runs: RunSet;
  writer: RunThread;
  catalog: DedupCatalog;
  ulids: UlidFactory;
  onDamage(damage: DedupDamage): void;
  onError(error: unknown): void;
}

/**
 * What happens behind the index's back, one step at a time: filters are loaded after a start,
 * expired runs leave, damaged ones are rewritten, small ones merged. A step becomes visible by one
 * catalog transaction; files go after it. A crash leaves orphans, which the next start sweeps.
 */
export class Maintainer {
  /** The time that the last caller named; it may step back, as clocks do. */
  nowUs: number;
  merges = 0;
  mergedKeys = 0;
  private readonly parts: MaintainerParts;
  private running: Promise<void> | null = null;
  private again = false;
  private stopped = false;
  private holds = 0;
  /** Files that went out of the index while a backup needed them. */
  private held: string[] = [];
  /** A transaction failed, and nobody knows whether it went through. */
  private doubt: { removed: Run[]; added: Run | null } | null = null;

  constructor(parts: MaintainerParts, nowUs: number) {
    this.parts = parts;
    this.nowUs = nowUs;
  }

  get expiredUs(): number {
    return this.nowUs - this.parts.windowUs;
  }

  tick(nowUs: number): void {
    this.nowUs = nowUs;
  }

  /** Starts the steps that are due, unless they run already. */
  kick(): void {
    if (this.stopped) return;
    this.again = true;
    this.running ??= this.run().finally(() => {
      this.running = null;
    });
  }

  /**
   * No run that the catalog names from now on is removed until the returned function is called: a
   * backup copies what it named at one moment.
   */
  hold(): () => void {
    this.holds += 1;
    let held = true;
    return () => {
      if (held) this.holds -= 1;
      held = false;
      if (this.holds > 0 || this.held.length === 0 || this.stopped) return;
      // What a crash leaves of these, the next start sweeps.
      this.parts.writer.call('remove', this.held).catch(this.parts.onError);
      this.held = [];
    };
  }

  async idle(): Promise<void> {
    this.kick();
    while (this.running !== null) await this.running;
  }

  /** A merge in progress is cut off when its thread ends; its file is an orphan then. */
  async stop(): Promise<void> {
    this.stopped = true;
    const { running } = this;
    await this.parts.writer.end();
    await running;
  }

  private async run(): Promise<void> {
    try {
      while (this.again) {
        this.again = false;
        while (!this.stopped && (await this.step()));
      }
    } catch (error) {
      if (!this.stopped) this.parts.onError(error);
    }
  }

  /** One thing that is due; false if there is none. */
  private async step(): Promise<boolean> {
    if (this.doubt !== null) await this.resolveDoubt();
    const { runs } = this.parts.runs;
    const unloaded = runs.find((run) => run.filter === null && !run.rewrite);
    if (unloaded !== undefined) return this.loadFilter(unloaded);
    const expired = runs.filter((run) => run.row.newestUs <= this.expiredUs);
    if (expired.length > 0) return this.exchange(expired, null);
    const damaged = runs.find((run) => run.rewrite);
    if (damaged !== undefined) return this.merge([damaged]);
    const oldestFirst = runs.map((run) => run.row).reverse();
    const plan = planMerge(oldestFirst, this.parts.windowUs);
    if (plan === null) return false;
    return this.merge(runs.slice(runs.length - plan.to, runs.length - plan.from));
  }

  private async loadFilter(run: Run): Promise<true> {
    const { runs, writer } = this.parts;
    const asks = { file: run.file, checksum: run.row.checksum };
    const { filter } = await runs.withRoom(run.partitions, async (room) => {
      const shapes = await writer.call('filter', { ...asks, room });
      return shapes && { shapes };
    });
    run.filter = filter;
    if (filter !== null) return true;
    run.rewrite = true;
    const reason = 'its filter is damaged: no key is lost, it is written anew';
    this.parts.onDamage({ path: run.row.path, reason, keys: 0 });
    return true;
  }

  /** @param inputs adjacent runs, newest first */
  private async merge(inputs: Run[]): Promise<true> {
    const { dir, secret, runs, writer, ulids } = this.parts;
    const name = `${ulids.next(Date.now())}.run`;
    const file = join(dir, name);
    const through = Math.max(...inputs.map((run) => run.row.through));
    const keys = inputs.reduce((sum, run) => sum + run.row.keys, 0);
    const job = {
      inputs: inputs.map((run) => ({ file: run.file, checksum: run.row.checksum })),
      file,
      secret,
      through,
      expiredUs: this.expiredUs,
    };
    let damaged: number[][] = [];
    const { written, filter } = await runs.withRoom(partitionsOf(keys), async (room) => {
      const result = await writer.call('merge', { ...job, room });
      damaged = result.damaged;
      return result.run;
    });
    this.merges++;
    this.mergedKeys += keys;
    inputs.forEach((run, i) => {
      runs.reportBlocks(run, damaged[i]);
    });
    if (written === null) return this.exchange(inputs, null);
    const { shapes: _, ...facts } = written;
    const row = { path: `${basename(dir)}/${name}`, through, ...facts };
    const opened = await runs.open(row, file);
    if (typeof opened === 'string') throw new Error(`${row.path} was just written, but ${opened}`);
    opened.run.filter = filter;
    return this.exchange(inputs, opened.run);
  }

  private async exchange(removed: Run[], added: Run | null): Promise<true> {
    this.doubt = { removed, added };
    const paths = removed.map((run) => run.row.path);
    await this.parts.catalog.replaceDedupRuns(paths, added === null ? [] : [added.row]);
    this.doubt = null;
    return this.applied(removed, added);
  }

  private async applied(removed: Run[], added: Run | null): Promise<true> {
    const { runs, writer } = this.parts;
    runs.swap(removed, added);
    const damaged = removed.filter((run) => run.damagedBlocks.size > 0 || run.rewrite);
    const whole = removed.filter((run) => !damaged.includes(run));
    const files = damaged.map((run) => run.file);
    await writer.call('quarantine', files);
    const unneeded = whole.map((run) => run.file);
    if (this.holds > 0) this.held.push(...unneeded);
    else await writer.call('remove', unneeded);
    return true;
  }

  private async resolveDoubt(): Promise<void> {
    const { doubt } = this;
    if (doubt === null) return;
    const rows = await this.parts.catalog.dedupRuns();
    const named = new Set(rows.map((row) => row.path));
    this.doubt = null;
    if (doubt.removed.every((run) => !named.has(run.row.path))) {
      await this.applied(doubt.removed, doubt.added);
    } else if (doubt.added !== null) {
      this.parts.runs.close([doubt.added]);
      await this.parts.writer.call('remove', [doubt.added.file]);
    }
  }
}

import { Mutex } from '../base/mutex.js';
import type { Deletion } from '../metadata/metadata.js';
import { ClockTrust } from './clock-trust.js';
import { Eraser } from './erase.js';
import { Expirer } from './expire.js';
import { GivingUp, type QuarantinedFile } from './give-up.js';
import { type Debt, type GroupView, Merger } from './merge.js';
import type { Expiry, UpkeepParts } from './parts.js';

/**
 * What keeps the disk in order in the background: expired rows leave, erased rows leave, small
 * files become large ones, replaced files are deleted. One job at a time; nothing that a reader
 * sees changes.
 */
export interface CompactOptions {
  /** Only files of this UTC day. */
  day?: number;
  dryRun?: boolean;
}

export interface CompactProgress {
  filesIn: number;
  filesOut: number;
  bytesIn: number;
  bytesOut: number;
}

export interface CompactReport extends CompactProgress {
  /** What would be merged, for a dry run. */
  groups: GroupView[];
  erasuresPending: number;
}

const LONGEST_TICK_MS = 30_000;
const SHORTEST_TICK_MS = 50;
/** Background merges rest as long as they worked, up to this. */
const LONGEST_REST_MS = 1_000;

export class Upkeep {
  private readonly parts: UpkeepParts;
  private readonly trust: ClockTrust;
  private readonly merger: Merger;
  private readonly expirer: Expirer;
  private readonly eraser: Eraser;
  private readonly givingUp: GivingUp;
  private readonly turn = new Mutex();
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> | null = null;
  private stopped = false;
  private sweptMs: number;
  private compactedMs: number;

  constructor(parts: UpkeepParts) {
    this.parts = parts;
    this.trust = new ClockTrust(parts.clock, parts.settings.trustAfterMs);
    this.merger = new Merger(parts);
    this.expirer = new Expirer(parts);
    this.eraser = new Eraser(parts);
    this.givingUp = new GivingUp(parts);
    this.sweptMs = parts.clock.monoMs();
    this.compactedMs = this.sweptMs;
  }

  /** Starts looking for work. */
  start(): void {
    const { compactEveryMs, sweepEveryMs, erasureDeadlineMs } = this.parts.settings;
    const often = Math.min(compactEveryMs, sweepEveryMs, erasureDeadlineMs / 20, LONGEST_TICK_MS);
    this.timer = setInterval(
      () => {
        this.running ??= this.tick().finally(() => {
          this.running = null;
        });
      },
      Math.max(SHORTEST_TICK_MS, often),
    );
    this.timer.unref();
  }

  /** No job begins any more; the close of the store ends the one under way at its next step. */
  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearInterval(this.timer);
  }

  /** Resolves once the job under way has ended, after `stop` and the close of the store. */
  async ended(): Promise<void> {
    await this.running;
    await this.turn.run(async () => undefined);
  }

  /** Does what is due. Never rejects. */
  tick(): Promise<void> {
    return this.turn.run(async () => {
      if (this.stopped) return;
      const trusted = this.trust.look();
      const expiry = trusted ? await this.guarded('expiry', () => this.expirer.expiry()) : null;
      await this.guarded('garbage', () => this.parts.store.collectGarbage());
      await this.expire(expiry);
      if (this.eraser.due) await this.guarded('erasure', () => this.eraser.run(expiry));
      await this.merge(expiry);
      await this.guarded('garbage', () => this.parts.store.collectGarbage());
      await this.guarded('erasure', () => this.eraser.finish());
    });
  }

  /** Erases what is pending and merges what there is, at once: the operator's command. */
  compact(
    { day, dryRun = false }: CompactOptions,
    onProgress: (progress: CompactProgress) => void,
  ): Promise<CompactReport> {
    return this.turn.run(async () => {
      const done: CompactProgress = { filesIn: 0, filesOut: 0, bytesIn: 0, bytesOut: 0 };
      if (dryRun) {
        const groups = await this.merger.preview({ day, eager: true });
        return { ...done, groups, erasuresPending: this.pending.count };
      }
      const expiry = this.trust.look() ? await this.expirer.expiry() : null;
      await this.eraser.run(expiry);
      await this.merger.run({
        day,
        eager: true,
        expiry,
        stop: () => this.stopped,
        restMs: () => 0,
        onMerged: ({ inputs, output, bytesIn, bytesOut }) => {
          done.filesIn += inputs.length;
          done.filesOut += output === null ? 0 : 1;
          done.bytesIn += bytesIn;
          done.bytesOut += bytesOut;
          onProgress({ ...done });
        },
      });
      await this.parts.store.collectGarbage();
      await this.eraser.finish();
      return { ...done, groups: [], erasuresPending: this.pending.count };
    });
  }

  /** Files that may still hold bytes of an erasure. */
  filesLeft(deletion: Deletion): Promise<number> {
    return this.eraser.filesLeft(deletion);
  }

  /** The damaged files, and what is lost with each; see give-up.ts. */
  quarantined(): Promise<QuarantinedFile[]> {
    return this.givingUp.list();
  }

  /**
   * Gives damaged files up for good, and goes on with the erasures that they held up. Rejects with
   * `not_found` for a key that is not in quarantine: nothing is given up then.
   * @param keys null = all
   */
  dropQuarantined(keys: readonly string[] | null): Promise<QuarantinedFile[]> {
    return this.turn.run(async () => {
      const dropped = await this.givingUp.drop(keys);
      await this.guarded('erasure', () => this.eraser.run(null));
      await this.guarded('garbage', () => this.parts.store.collectGarbage());
      await this.guarded('erasure', () => this.eraser.finish());
      return dropped;
    });
  }

  /** Files in quarantine that hold up erasures. */
  get filesBlocking(): number {
    return this.eraser.blockedBy;
  }

  get debt(): Debt {
    return this.merger.debt;
  }

  get filesSetAside(): number {
    return this.merger.setAside;
  }

  /** Erasures that are not done, and when the oldest was requested. */
  get pending(): { count: number; oldestUs: number | null } {
    const requested = this.eraser.pending.map(({ requestedUs }) => requestedUs);
    const oldest = requested.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
    return { count: requested.length, oldestUs: requested.length === 0 ? null : oldest };
  }

  private async expire(expiry: Expiry | null): Promise<void> {
    const { clock, settings } = this.parts;
    if (expiry === null || clock.monoMs() - this.sweptMs < settings.sweepEveryMs) return;
    this.sweptMs = clock.monoMs();
    await this.guarded('expiry', () => this.expirer.run(expiry));
  }

  private async merge(expiry: Expiry | null): Promise<void> {
    const { clock, settings } = this.parts;
    if (!settings.compaction) return;
    if (clock.monoMs() - this.compactedMs < settings.compactEveryMs) return;
    await this.guarded('compaction', () =>
      this.merger.run({
        expiry,
        stop: () => this.stopped || this.eraser.due,
        restMs: (workedMs) => Math.min(LONGEST_REST_MS, workedMs),
      }),
    );
    this.compactedMs = clock.monoMs();
  }

  private async guarded<T>(
    job: 'compaction' | 'erasure' | 'expiry' | 'garbage',
    work: () => Promise<T>,
  ): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (!this.stopped) this.parts.observer.failed(job, error);
      return null;
    }
  }
}

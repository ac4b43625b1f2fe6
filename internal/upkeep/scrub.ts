import type { Clock } from '../base/clock.js';
import { decodeMs } from '../base/ulid.js';
import type { Catalog, Partition } from '../metadata/metadata.js';
import type { ParquetStore } from '../store/parquet/parquet.js';

export interface ScrubParts {
  clock: Clock;
  catalog: Pick<Catalog, 'partitions' | 'checks' | 'noteCheck'>;
  store: Pick<ParquetStore, 'scrub'>;
  /** Within which every file is read once. */
  intervalMs: number;
  bytesPerSecond: number;
  /** A file was read; `damaged`: it is in quarantine now. None may throw. */
  onChecked(bytes: number, damaged: boolean): void;
  onFailed(error: unknown): void;
}

/** A file is due this early, so that a long queue and slow reads end within the interval. */
const DUE_AFTER = 0.8;
/** Looks for due files, as a part of the interval and at most. */
const LOOKS = 1 / 20;
const LONGEST_WAIT_MS = 60_000;

/**
 * Reads every file once an interval, the one first that was looked at the longest ago. When that
 * was stands in the catalog, so that a restart goes on where the last run ended. Files are checked
 * when they are made, which counts as a look.
 */
export class Scrubber {
  private readonly parts: ScrubParts;
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<void> | null = null;
  private stopped = false;
  private oldestUs: number | null = null;

  constructor(parts: ScrubParts) {
    this.parts = parts;
  }

  /** How long ago the file was looked at that waits the longest, in seconds; 0 without a file. */
  get oldestAgeS(): number {
    if (this.oldestUs === null) return 0;
    return Math.max(0, (this.parts.clock.nowUs() - this.oldestUs) / 1e6);
  }

  start(): void {
    const everyMs = Math.max(20, Math.min(LONGEST_WAIT_MS, this.parts.intervalMs * LOOKS));
    this.timer = setInterval(() => this.wake(), everyMs).unref();
    this.wake();
  }

  /** Ends after the file under way, which the closing of the store cuts short. */
  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearInterval(this.timer);
  }

  /** Resolves when nothing is under way; no call to the catalog comes later. */
  async ended(): Promise<void> {
    await this.running;
  }

  private wake(): void {
    if (this.running !== null || this.stopped) return;
    this.running = this.run()
      .catch((error: unknown) => {
        if (!this.stopped) this.parts.onFailed(error);
      })
      .finally(() => {
        this.running = null;
      });
  }

  private async run(): Promise<void> {
    const { clock, catalog, store, bytesPerSecond, onChecked } = this.parts;
    for (const { file } of await this.due()) {
      if (this.stopped) return;
      const checkedUs = clock.nowUs();
      const verdict = await store.scrub(file, bytesPerSecond);
      if (verdict === 'replaced') continue;
      onChecked(file.bytes, verdict === 'damaged');
      await catalog.noteCheck({ id: file.id, checkedUs });
    }
    await this.due();
  }

  /** The files to read now, in order. */
  private async due(): Promise<{ file: Partition; lastUs: number }[]> {
    const { clock, catalog, intervalMs } = this.parts;
    const nowUs = clock.nowUs();
    const checks = new Map((await catalog.checks()).map(({ id, checkedUs }) => [id, checkedUs]));
    const files = (await catalog.partitions())
      .filter(({ state }) => state === 'live')
      .map((file) => ({ file, lastUs: checks.get(file.id) ?? madeUs(file) }))
      .sort((a, b) => a.lastUs - b.lastUs);
    this.oldestUs = files[0]?.lastUs ?? null;
    const dueUs = nowUs - intervalMs * 1000 * DUE_AFTER;
    // A look in the future was noted by a clock that was wrong.
    return files.filter(({ lastUs }) => lastUs <= dueUs || lastUs > nowUs);
  }
}

function madeUs({ id }: Partition): number {
  return (decodeMs(id.slice(4)) ?? 0) * 1000;
}

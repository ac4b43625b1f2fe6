import type { Clock } from '../base/clock.js';
import type { DedupIndex } from '../dedup/dedup.js';
import type { Log } from '../log/log.js';
import type { AnswerStore, DeletionStore } from '../metadata/metadata.js';
import type { Generation } from '../recent/generation.js';
import type { Recent } from '../recent/recent.js';
import type { Store } from '../store/store.js';
import type { Answers } from './answers.js';

/**
 * Moves sealed generations into the store, one at a time, oldest first:
 * dedup run, answers and deletions durable → store.write (files, then ONE catalog transaction) →
 * dedup and recent drop it → log released.
 *
 * Any failure keeps everything and is tried again; the log is never released past what the store
 * has. Repeating any step is harmless: each is idempotent or void until the catalog transaction.
 */
export interface FlusherParts {
  clock: Clock;
  log: Pick<Log, 'stream' | 'release'>;
  dedup: DedupIndex;
  recent: Recent;
  answers: Answers;
  answerStore: AnswerStore;
  deletionStore: DeletionStore;
  store: Store;
  maxRows: number;
  maxBytes: number;
  maxAgeMs: number;
  onFlushed(rows: number, ms: number): void;
  onFailed(error: unknown, retryInMs: number): void;
}

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 30_000;
const AGE_LOOK_MS = 100;

export class Flusher {
  private readonly parts: FlusherParts;
  private running: Promise<void> | null = null;
  /** The flush of one generation that is under way, or the last one. */
  private current: Promise<void> = Promise.resolve();
  private ageTimer: NodeJS.Timeout | null = null;
  private retryTimer: NodeJS.Timeout | null = null;
  private failures = 0;
  private stopped = false;

  constructor(parts: FlusherParts) {
    this.parts = parts;
  }

  /** Starts looking at the age of the buffer. */
  start(): void {
    const look = Math.min(AGE_LOOK_MS, Math.max(10, this.parts.maxAgeMs / 4));
    this.ageTimer = setInterval(() => {
      if (this.parts.recent.oldestAgeMs >= this.parts.maxAgeMs) this.sealAndRun();
    }, look);
    this.ageTimer.unref();
  }

  /** Something was appended: seals once the buffer is full. Cheap: called for every record. */
  poke(): void {
    const { recent, maxRows, maxBytes } = this.parts;
    if (recent.activeRows >= maxRows || recent.activeBytes >= maxBytes) this.sealAndRun();
  }

  /** Flushes all there is now; rejects with the failure of the first try that fails. */
  async flush(): Promise<void> {
    // Another one may begin while this one waits: only one drains at a time.
    while (this.running !== null) await this.running.catch(() => undefined);
    this.parts.recent.seal();
    await this.runAll();
  }

  /**
   * Flushes what was appended before, and does not wait for what comes meanwhile, as `flush` does:
   * under a load that keeps it busy that never ends. Rejects with the failure of a try.
   */
  async flushSoFar(): Promise<void> {
    const { recent } = this.parts;
    recent.seal();
    const to = recent.waiting.at(-1)?.to ?? Number.NEGATIVE_INFINITY;
    while ((recent.waiting[0]?.to ?? Number.POSITIVE_INFINITY) <= to) {
      // The failure is that of `current`, too.
      if (this.running === null) this.runAll().catch(() => undefined);
      await this.current;
    }
  }

  /** The consecutive failures of the flush; 0 while it works. */
  get failing(): number {
    return this.failures;
  }

  /** No flush begins any more; waits for the one under way. */
  async stop(): Promise<void> {
    this.stopped = true;
    if (this.ageTimer !== null) clearInterval(this.ageTimer);
    if (this.retryTimer !== null) clearTimeout(this.retryTimer);
    await this.running?.catch(() => undefined);
  }

  private sealAndRun(): void {
    if (this.stopped) return;
    // While flushes lag, the active generation goes on growing: writers are bounded elsewhere.
    if (this.parts.recent.waiting.length < 2) this.parts.recent.seal();
    if (this.running !== null || this.retryTimer !== null) return;
    this.runAll().catch((error: unknown) => this.retryLater(error));
  }

  private runAll(): Promise<void> {
    this.running = this.drain().finally(() => {
      this.running = null;
    });
    return this.running;
  }

  private async drain(): Promise<void> {
    for (;;) {
      const generation = this.parts.recent.waiting[0];
      if (generation === undefined) return;
      const start = this.parts.clock.monoMs();
      this.current = this.flushOne(generation);
      await this.current;
      this.failures = 0;
      this.parts.onFlushed(generation.rows, this.parts.clock.monoMs() - start);
    }
  }

  private async flushOne(generation: Generation): Promise<void> {
    const { log, dedup, recent, answers, store } = this.parts;
    const { from, to } = generation;
    const run = await dedup.seal(to);
    await this.parts.answerStore.put(generation.answers);
    await this.parts.deletionStore.put(generation.deletions);
    const live = generation.live();
    await store.write({ stream: log.stream, from, to, ...live, dedupRun: run });
    if (run !== null) dedup.commit(run);
    recent.drop(to);
    answers.flushed(generation.answers);
    await log.release(to);
  }

  private retryLater(error: unknown): void {
    this.failures += 1;
    const wait = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.failures - 1));
    this.parts.onFailed(error, wait);
    if (this.stopped) return;
    this.retryTimer = setTimeout(() => {
      this.retryTimer = null;
      if (this.running !== null) return;
      this.runAll().catch((again: unknown) => this.retryLater(again));
    }, wait);
    this.retryTimer.unref();
  }
}

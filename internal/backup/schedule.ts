import type { Clock } from '../base/clock.js';
import type { Manifest } from './manifest.js';

export interface ScheduleSettings {
  /** 0 = never. */
  incrementalEveryMs: number;
  fullEveryMs: number;
}

type Kind = Manifest['kind'];

/** What is known of the backups in the target. */
export type Made = Pick<Manifest, 'createdUs' | 'kind'>;

const US = 1_000;

/**
 * Which backup is due now, from those that are there: so a restart neither skips one nor makes one
 * twice. Pure. One that seems to be made in the future (a clock was put back) does not count.
 */
export function dueBackup(
  made: readonly Made[],
  nowUs: number,
  { incrementalEveryMs, fullEveryMs }: ScheduleSettings,
): Kind | null {
  const newest = (backups: readonly Made[]) =>
    Math.max(
      Number.NEGATIVE_INFINITY,
      ...backups.map(({ createdUs }) => createdUs).filter((us) => us <= nowUs),
    );
  const isDue = (lastUs: number, everyMs: number) => everyMs > 0 && lastUs + everyMs * US <= nowUs;
  const full = made.filter(({ kind }) => kind === 'full');
  if (isDue(newest(full), fullEveryMs)) return 'full';
  return isDue(newest(made), incrementalEveryMs) ? 'incremental' : null;
}

export interface ScheduleParts {
  clock: Clock;
  settings: ScheduleSettings;
  /** The whole backups of the target. */
  made(): Promise<Made[]>;
  make(kind: Kind): Promise<void>;
  /** Removes what need not be kept. */
  tidy(): Promise<void>;
  onFailed(error: unknown, retryInMs: number): void;
}

const LOOK_MS = 30_000;
const FIRST_RETRY_MS = 60_000;
const LAST_RETRY_MS = 3_600_000;
/** Others make backups, too: the target is asked again. */
const READ_AGAIN_MS = 3_600_000;

/** Makes backups when they are due, one at a time; failures are tried again, ever less often. */
export class Schedule {
  private readonly parts: ScheduleParts;
  private timer: NodeJS.Timeout | null = null;
  private made: Made[] | null = null;
  private readMs = 0;
  private failures = 0;
  private asked = false;
  private notBeforeMs = 0;
  private running: Promise<void> | null = null;
  private stopped = false;

  constructor(parts: ScheduleParts) {
    this.parts = parts;
  }

  /** @param firstMs until the first look */
  start(firstMs: number, lookMs = LOOK_MS): void {
    const look = () => {
      if (this.stopped) return;
      this.running = this.look().finally(() => {
        this.running = null;
        if (!this.stopped) this.timer = setTimeout(look, lookMs).unref();
      });
    };
    this.timer = setTimeout(look, firstMs).unref();
  }

  /** One is due with the next look: what was not sent must be in it. */
  ask(): void {
    this.asked = true;
  }

  /** Nothing begins any more; the caller ends what is under way. */
  stop(): void {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  async ended(): Promise<void> {
    await this.running;
  }

  /** Looks once; never rejects. */
  async look(): Promise<void> {
    const { clock, settings, make, tidy, onFailed } = this.parts;
    if (clock.monoMs() < this.notBeforeMs) return;
    try {
      const due = dueBackup(await this.known(), clock.nowUs(), settings);
      const isOn = settings.incrementalEveryMs + settings.fullEveryMs > 0;
      const kind = due ?? (this.asked && isOn ? 'incremental' : null);
      if (kind === null || this.stopped) return;
      this.asked = false;
      await make(kind).catch((error: unknown) => {
        this.asked = true;
        throw error;
      });
      this.made = null;
      await tidy();
      await this.known();
      this.failures = 0;
    } catch (error) {
      if (this.stopped) return;
      this.failures += 1;
      const wait = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.failures - 1));
      this.notBeforeMs = clock.monoMs() + wait;
      this.made = null;
      onFailed(error, wait);
    }
  }
  private async known(): Promise<Made[]> {
    const { clock, made } = this.parts;
    const isOld = clock.monoMs() - this.readMs > READ_AGAIN_MS;
    if (this.made !== null && !isOld) return this.made;
    this.made = await made();
    this.readMs = clock.monoMs();
    return this.made;
  }
}

import type { Clock } from '../base/clock.js';

/**
 * Whether the wall clock may decide that something is to be deleted for good: only after it ran
 * beside the monotonic clock, which never jumps, for a while. A clock that jumps forward makes
 * every event look expired; reads hide them, and show them again when the clock is put right.
 */
export class ClockTrust {
  private readonly clock: Clock;
  private readonly afterMs: number;
  private last: { wallMs: number; monoMs: number };
  private steadySinceMs: number;

  /** @param afterMs how long both must agree */
  constructor(clock: Clock, afterMs: number) {
    this.clock = clock;
    this.afterMs = afterMs;
    this.last = this.both();
    this.steadySinceMs = this.last.monoMs;
  }

  /** To be called every minute or so, so that a jump is told from the drift that NTP corrects. */
  look(): boolean {
    const now = this.both();
    const gone = now.monoMs - this.last.monoMs;
    const jump = Math.abs(now.wallMs - this.last.wallMs - gone);
    if (jump > TOLERANCE_MS + gone * MAX_SLEW) this.steadySinceMs = now.monoMs;
    this.last = now;
    return now.monoMs - this.steadySinceMs >= this.afterMs;
  }

  private both(): { wallMs: number; monoMs: number } {
    return { wallMs: this.clock.nowUs() / 1000, monoMs: this.clock.monoMs() };
  }
}

const TOLERANCE_MS = 1_000;
/** Kernels slew a clock by at most 500 ppm. */
const MAX_SLEW = 0.001;

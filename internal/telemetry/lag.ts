import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';

/** How often the loop is sampled; steps shorter than this are not seen. */
const RESOLUTION_MS = 10;

export interface Lag {
  readonly p50S: number;
  readonly p99S: number;
  readonly maxS: number;
}

/** How late the event loop runs its timers. */
export class LoopLag {
  private readonly histogram: IntervalHistogram = monitorEventLoopDelay({
    resolution: RESOLUTION_MS,
  });

  constructor() {
    this.histogram.enable();
  }

  /** The lag since the last call, in seconds. */
  take(): Lag {
    const { histogram } = this;
    const lag =
      histogram.count === 0
        ? { p50S: 0, p99S: 0, maxS: 0 }
        : {
            p50S: lateness(histogram.percentile(50)),
            p99S: lateness(histogram.percentile(99)),
            maxS: lateness(histogram.max),
          };
    histogram.reset();
    return lag;
  }

  close(): void {
    this.histogram.disable();
  }
}

/** Node records the whole interval between two samples in nanoseconds, the resolution included. */
function lateness(intervalNs: number): number {
  return Math.max(0, intervalNs / 1e9 - RESOLUTION_MS / 1e3);
}

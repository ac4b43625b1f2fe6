interface Sample {
  position: number;
  /** When the first record after the sample before was durable, at the earliest. */
  ms: number;
}

const MAX_SAMPLES = 512;

/**
 * How old the oldest durable record is that is not in the target: from looks at the log's end, as
 * exact as they are frequent. Bounded: beyond some hundred looks two become one, the older time
 * with the newer position.
 */
export class Lag {
  private samples: Sample[] = [];
  private lookedMs: number | null = null;
  private done = 0;

  /** The log ends at `position` now. */
  look(position: number, nowMs: number): void {
    const last = this.samples.at(-1);
    const before = this.lookedMs ?? nowMs;
    this.lookedMs = nowMs;
    if (position <= (last?.position ?? this.done)) return;
    this.samples.push({ position, ms: before });
    if (this.samples.length > MAX_SAMPLES) this.halve();
  }

  /** Records up to `position` are in the target. */
  shipped(position: number): void {
    this.done = Math.max(this.done, position);
    this.samples = this.samples.filter((sample) => sample.position > position);
  }

  /** 0 if everything that was seen is in the target. */
  ageMs(nowMs: number): number {
    const [oldest] = this.samples;
    return oldest === undefined ? 0 : nowMs - oldest.ms;
  }

  private halve(): void {
    this.samples = this.samples.flatMap((sample, i, all) => {
      if (i % 2 === 1) return [];
      return [{ position: (all[i + 1] ?? sample).position, ms: sample.ms }];
    });
  }
}

import type { Clock } from '../base/clock.js';

/** The state of one key's bucket after a request asked for a token. */
export interface RateVerdict {
  allowed: boolean;
  limit: number;
  remaining: number;
  /** Seconds until the next token (refused) or until the bucket is full (allowed). */
  resetS: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

const MAX_BUCKETS = 50_000;

/** A token bucket per key: `perSecond` tokens a second, at most `burst` saved up. */
export class RateLimiter {
  private readonly perSecond: number;
  private readonly burst: number;
  private readonly clock: Clock;
  private readonly buckets = new Map<string, Bucket>();

  /** @param burst 0 = twice `perSecond` */
  constructor(perSecond: number, burst: number, clock: Clock) {
    this.perSecond = perSecond;
    this.burst = Math.max(1, burst > 0 ? burst : perSecond * 2);
    this.clock = clock;
  }

  /** Takes one token of the key. */
  take(keyId: string): RateVerdict {
    const now = this.clock.monoMs();
    const bucket = this.refilled(keyId, now);
    const allowed = bucket.tokens >= 1;
    if (allowed) bucket.tokens -= 1;
    const missing = allowed ? this.burst - bucket.tokens : 1 - bucket.tokens;
    return {
      allowed,
      limit: this.burst,
      remaining: Math.floor(bucket.tokens),
      resetS: Math.ceil(missing / this.perSecond),
    };
  }

  private refilled(keyId: string, now: number): Bucket {
    let bucket = this.buckets.get(keyId);
    if (bucket === undefined) {
      if (this.buckets.size >= MAX_BUCKETS) this.dropFull(now);
      bucket = { tokens: this.burst, atMs: now };
      this.buckets.set(keyId, bucket);
    }
    const gained = ((now - bucket.atMs) / 1000) * this.perSecond;
    bucket.tokens = Math.min(this.burst, bucket.tokens + gained);
    bucket.atMs = now;
    return bucket;
  }

  /** A bucket that has filled up again says nothing: it may be made anew. */
  private dropFull(now: number): void {
    const fillMs = (this.burst / this.perSecond) * 1000;
    for (const [id, bucket] of this.buckets) {
      if (now - bucket.atMs >= fillMs) this.buckets.delete(id);
    }
  }
}

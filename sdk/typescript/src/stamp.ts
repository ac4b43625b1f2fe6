/**
 * Times that always increase, as RFC 3339 with microseconds: events of one millisecond keep their
 * order and stay apart, also when they are stored by a server that was started in between.
 */
export class Stamps {
  private readonly now: () => number;
  private lastUs = 0;
  private prefixMs = Number.NaN;
  private prefix = '';

  /** @param now milliseconds since 1970 */
  constructor(now: () => number = Date.now) {
    this.now = now;
  }

  next(): string {
    this.lastUs = Math.max(Math.floor(this.now()) * 1_000, this.lastUs + 1);
    const ms = Math.floor(this.lastUs / 1_000);
    if (ms !== this.prefixMs) {
      this.prefixMs = ms;
      this.prefix = new Date(ms).toISOString().slice(0, -1);
    }
    return `${this.prefix}${String(this.lastUs % 1_000).padStart(3, '0')}Z`;
  }
}

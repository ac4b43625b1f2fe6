import type { Log } from '../log/log.js';
import type { SegmentLog } from '../log/segments/segment-log.js';

export interface HoldOptions {
  /** Records up to here are in the target; infinity: nothing is ever held. */
  through: number;
  /** The log's size beyond which flushed records go although the target lacks them. */
  maxBytes: number;
  onGivenUp(position: number): void;
}

/**
 * The log as those see it who free its space: what was flushed stays until it is in the target
 * too, but never so much that a target out of reach fills the disk.
 */
export class HeldLog implements Pick<Log, 'stream' | 'release'> {
  private readonly log: SegmentLog;
  private readonly options: HoldOptions;
  private readonly sent: () => Promise<void>;
  /** Released by the flush. */
  private wanted = 0;
  private through: number;
  private givenUp = false;

  /** @param sent sends what the log has now; may reject */
  constructor(log: SegmentLog, options: HoldOptions, sent: () => Promise<void>) {
    this.log = log;
    this.options = options;
    this.sent = sent;
    this.through = options.through;
  }

  get stream(): string {
    return this.log.stream;
  }

  /** Beyond the log's end it is not about space, but about numbers that are taken. */
  async release(position: number): Promise<void> {
    this.wanted = Math.max(this.wanted, position);
    if (position > this.log.durable) return this.log.release(position);
    await this.releaseAllowed();
  }

  /** Records up to `position` are in the target. */
  async shipped(position: number): Promise<void> {
    this.through = Math.max(this.through, position);
    this.givenUp = false;
    await this.releaseAllowed();
  }

  /**
   * Ends the segment being written, for an erasure: its bytes must leave the log with the next
   * flush. They are sent before; if that fails they go all the same.
   */
  async rotate(): Promise<void> {
    await this.log.rotate();
    if (this.through === Number.POSITIVE_INFINITY) return;
    const upTo = this.log.durable;
    await this.sent().catch(() => undefined);
    this.through = Math.max(this.through, upTo);
    await this.releaseAllowed();
  }

  private async releaseAllowed(): Promise<void> {
    const allowed = Math.min(this.wanted, this.through);
    await this.log.release(allowed);
    if (allowed === this.wanted || this.log.health.bytes <= this.options.maxBytes) return;
    await this.log.release(this.wanted);
    if (!this.givenUp) this.options.onGivenUp(this.wanted);
    this.givenUp = true;
  }
}

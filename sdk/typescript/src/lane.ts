import { Batch, type Entry } from './batch.js';

export interface LaneOptions {
  maxItems: number;
  maxBytes: number;
  /** Milliseconds. */
  maxDelay: number;
}

/** Batches in order, one of them under way at a time. */
export class Lane {
  private readonly options: LaneOptions;
  private readonly send: (batch: Batch) => Promise<void>;
  private readonly batches: Batch[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  private sending = false;
  private pushed = 0;
  private done = 0;
  /** Until so many events are done, batches do not wait to be full. */
  private urgentUntil = 0;
  private settlements: { at: number; resolve: () => void }[] = [];

  /** @param send resolves when each entry of the batch is acknowledged or refused; never rejects */
  constructor(options: LaneOptions, send: (batch: Batch) => Promise<void>) {
    this.options = options;
    this.send = send;
  }

  /** How many events are neither acknowledged nor refused. */
  get load(): number {
    return this.pushed - this.done;
  }

  push(entry: Entry): void {
    this.pushed += 1;
    const last = this.batches[this.batches.length - 1];
    if (last !== undefined && this.fits(last, entry)) {
      last.push(entry);
      if (!this.sending && this.isFull(last)) this.next();
      return;
    }
    const batch = new Batch(Date.now());
    batch.push(entry);
    this.batches.push(batch);
    if (!this.sending) this.next();
  }

  /** Resolves when all that was pushed before is acknowledged or refused. */
  settled(): Promise<void> {
    const at = this.pushed;
    if (this.done >= at) return Promise.resolve();
    this.urgentUntil = at;
    const settled = new Promise<void>((resolve) => this.settlements.push({ at, resolve }));
    if (!this.sending) this.next();
    return settled;
  }

  /** Sends the first batch, or waits until it is time. */
  private next(): void {
    clearTimeout(this.timer);
    const batch = this.batches[0];
    if (batch === undefined) return;
    const wait = this.waitOf(batch);
    if (wait > 0) {
      this.timer = setTimeout(() => this.next(), wait);
      return;
    }
    this.batches.shift();
    this.sending = true;
    void this.send(batch).then(() => {
      this.sending = false;
      this.done += batch.entries.length;
      this.settle();
      this.next();
    });
  }

  private waitOf(batch: Batch): number {
    const others = this.batches.length > 1;
    if (others || this.isFull(batch) || this.done < this.urgentUntil) return 0;
    return batch.openedAt + this.options.maxDelay - Date.now();
  }

  private isFull(batch: Batch): boolean {
    const { maxItems, maxBytes } = this.options;
    return batch.entries.length >= maxItems || batch.bytes >= maxBytes;
  }

  private fits(batch: Batch, entry: Entry): boolean {
    const { maxItems, maxBytes } = this.options;
    return batch.entries.length < maxItems && batch.bytes + entry.bytes <= maxBytes;
  }

  private settle(): void {
    const { done } = this;
    for (const { at, resolve } of this.settlements) if (done >= at) resolve();
    this.settlements = this.settlements.filter(({ at }) => at > done);
  }
}

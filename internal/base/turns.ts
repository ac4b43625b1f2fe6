/**
 * Long work in slices, one slice a turn of the event loop whoever does it: eight requests that all
 * wait with setImmediate would have their slices in one and the same turn.
 */
export class Turns {
  private readonly waiting: (() => void)[] = [];

  /** Resolves in a turn in which no other slice runs; first come, first served. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      if (this.waiting.length === 1) setImmediate(() => this.go());
    });
  }

  private go(): void {
    this.waiting[0]();
    this.waiting.shift();
    if (this.waiting.length > 0) setImmediate(() => this.go());
  }
}

/** The turns of this thread. */
export const turns = new Turns();

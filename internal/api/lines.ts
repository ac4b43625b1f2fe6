const LINE_FEED = 10;
const EMPTY = Buffer.alloc(0);

/**
 * Cuts a stream of bytes into lines, without their line feed. A line over the limit comes out as
 * null, and its bytes are not kept. A last line needs no line feed.
 */
export class LineSplitter {
  private readonly maxBytes: number;
  private carry: Buffer[] = [];
  private carried = 0;
  /** Inside a line that is over the limit: bytes are dropped up to its end. */
  private overlong = false;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** The lines that end in this chunk. */
  *push(chunk: Buffer): Iterable<Buffer | null> {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(LINE_FEED, start);
      if (end < 0) break;
      yield this.lineOf(chunk.subarray(start, end));
      start = end + 1;
    }
    this.keep(chunk.subarray(start));
  }

  /** The last line, if the stream did not end with a line feed. */
  *end(): Iterable<Buffer | null> {
    if (this.carried > 0 || this.overlong) yield this.lineOf(EMPTY);
  }

  private lineOf(rest: Buffer): Buffer | null {
    this.keep(rest);
    const line = this.carry.length === 1 ? this.carry[0] : Buffer.concat(this.carry, this.carried);
    const fits = !this.overlong;
    this.carry = [];
    this.carried = 0;
    this.overlong = false;
    return fits ? line : null;
  }

  private keep(part: Buffer): void {
    if (this.overlong || part.length === 0) return;
    this.carried += part.length;
    if (this.carried > this.maxBytes) {
      this.overlong = true;
      this.carry = [];
    } else {
      this.carry.push(part);
    }
  }
}

/**
 * Row lines as bytes, each with its line feed, in large pieces outside the heap: what the flush
 * writes as it stands. Kept as strings they would be most of what the garbage collector copies.
 */
export interface ArenaPlace {
  piece: number;
  start: number;
  /** After its line feed. */
  end: number;
}

const PIECE_BYTES = 1024 * 1024;
const LINE_FEED = 10;
/** UTF-8 takes at most three bytes for a UTF-16 unit. */
const MAX_BYTES_PER_UNIT = 3;

export class Arena {
  private readonly pieces: Buffer[] = [];
  private readonly used: number[] = [];
  /** No line has more bytes than this. */
  longestLine = 0;

  /** Copies a line. */
  add(line: string): ArenaPlace {
    const most = line.length * MAX_BYTES_PER_UNIT + 1;
    let piece = this.pieces.length - 1;
    if (piece < 0 || this.used[piece] + most > this.pieces[piece].length) {
      this.pieces.push(Buffer.allocUnsafeSlow(Math.max(PIECE_BYTES, most)));
      this.used.push(0);
      piece += 1;
    }
    const start = this.used[piece];
    const end = start + this.pieces[piece].write(line, start) + 1;
    this.pieces[piece][end - 1] = LINE_FEED;
    this.used[piece] = end;
    this.longestLine = Math.max(this.longestLine, end - start);
    return { piece, start, end };
  }

  get bytes(): number {
    return this.pieces.reduce((sum, piece) => sum + piece.length, 0);
  }

  /** Everything but the lines at `without`, in large pieces. */
  *lines(without: readonly ArenaPlace[]): Iterable<Buffer> {
    const gaps = [...without].sort((a, b) => a.piece - b.piece || a.start - b.start);
    let next = 0;
    for (let piece = 0; piece < this.pieces.length; piece++) {
      let at = 0;
      while (gaps[next]?.piece === piece) {
        if (gaps[next].start > at) yield this.pieces[piece].subarray(at, gaps[next].start);
        at = gaps[next].end;
        next += 1;
      }
      if (this.used[piece] > at) yield this.pieces[piece].subarray(at, this.used[piece]);
    }
  }
}

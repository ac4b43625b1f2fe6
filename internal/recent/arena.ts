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

export class Arena {
  private readonly pieces: Buffer[] = [];
  private readonly used: number[] = [];

  /** Copies lines that belong together. @returns where the first of them begins */
  add(lines: Buffer): Omit<ArenaPlace, 'end'> {
    let piece = this.pieces.length - 1;
    if (piece < 0 || this.used[piece] + lines.length > this.pieces[piece].length) {
      this.pieces.push(Buffer.allocUnsafeSlow(Math.max(PIECE_BYTES, lines.length)));
      this.used.push(0);
      piece += 1;
    }
    const start = this.used[piece];
    lines.copy(this.pieces[piece], start);
    this.used[piece] = start + lines.length;
    return { piece, start };
  }

  slice(piece: number, start: number, end: number): Buffer {
    return this.pieces[piece].subarray(start, end);
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

/**
 * Byte pair encoding in time linear in the text.
 *
 * The usual merge loop (take the pair of neighbours whose union has the lowest rank, leftmost
 * first, until no union is a token; on bytes, as in tiktoken) is quadratic in the piece: seconds
 * for 64 KiB of one letter. Here long pieces are encoded window by window, and the windows are
 * stitched with this property of such encodings: a row of tokens is the encoding of its bytes if
 * and only if each two neighbours are the encoding of theirs (the lemma behind
 * github.com/github/rust-gems, bpe). So the result is exact, whatever the text; the tests hold it
 * against another implementation.
 */
import { NO_RANK, type Vocabulary } from './vocabulary.js';

/** Pieces up to this many bytes, nearly all words, are merged whole; longer ones in windows. */
const WINDOW_BYTES = 32;
/** What a window encodes near its end may change with what follows: these tokens wait. */
const TAIL_TOKENS = 2;
const CACHE_BITS = 15;
/** What follows the end of the window. */
const NO_NEXT = -1;

export class BytePairEncoder {
  private readonly vocabulary: Vocabulary;
  private readonly rankOfByte = new Int32Array(256);
  /** Direct-mapped cache: the rank of the union of two tokens, by their ranks. */
  private readonly cacheLeft = new Int32Array(1 << CACHE_BITS).fill(-1);
  private readonly cacheRight = new Int32Array(1 << CACHE_BITS);
  private readonly cacheUnion = new Int32Array(1 << CACHE_BITS);
  /**
   * The window being merged, at the index of each token's first byte: its rank, its two neighbours,
   * and the rank of its union with the next one (NO_RANK also where no token begins).
   */
  private tokens = new Int32Array(0);
  private unions = new Int32Array(0);
  private nexts = new Int32Array(0);
  private prevs = new Int32Array(0);

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
    for (let byte = 0; byte < 256; byte++) {
      this.rankOfByte[byte] = vocabulary.rank(Uint8Array.of(byte), 0, 1);
    }
    this.grow(2 * WINDOW_BYTES);
  }

  /**
   * The ends, in bytes, of the tokens of one piece, ascending.
   *
   * @param limit stop soon after this many tokens: the ends are then those of a prefix
   * @param begun ends found before, of this piece or another that begins like it: not sought again
   */
  encode(piece: Uint8Array, limit: number, begun: readonly number[] = []): number[] {
    if (this.vocabulary.rank(piece, 0, piece.length) !== NO_RANK) return [piece.length];
    const ends = begun.slice();
    let width = WINDOW_BYTES;
    for (let from = 0; from < piece.length && ends.length <= limit; from = ends.at(-1) ?? 0) {
      const to = Math.min(from + width, piece.length);
      const window = this.merge(piece, from, to);
      if (to < piece.length) window.length = Math.max(0, window.length - TAIL_TOKENS);
      const first = window[0];
      if (first !== undefined && this.follows(piece, ends, first)) {
        for (const end of window) ends.push(end);
        width = Math.max(WINDOW_BYTES, width / 2);
      } else {
        // Progress is certain: at worst one window over the whole piece is its encoding.
        if (first !== undefined) ends.pop();
        width *= 2;
      }
    }
    return ends;
  }

  /** Whether the token that ends at `end` may follow the last one in `ends`. */
  private follows(piece: Uint8Array, ends: readonly number[], end: number): boolean {
    const middle = ends.at(-1);
    if (middle === undefined) return true;
    const both = this.merge(piece, ends.at(-2) ?? 0, end);
    return both.length === 2 && both[0] === middle;
  }

  /** The token ends of piece[from … to), merged on its own. Quadratic: for windows only. */
  private merge(piece: Uint8Array, from: number, to: number): number[] {
    const length = to - from;
    this.load(piece, from, length);
    const { unions } = this;
    for (let at = lowest(unions, length); at < length; at = lowest(unions, length)) {
      // Equal ranks in one sweep from the left, unless a union of lower rank has come up.
      const rank = unions[at] as number;
      for (let i = at; i < length; i++) {
        if (unions[i] === rank && this.join(piece, from, i) < rank) break;
      }
    }
    const ends: number[] = [];
    for (let at = 0; at < length; ) {
      at = this.nexts[at] as number;
      ends.push(from + at);
    }
    return ends;
  }

  /** One token a byte. */
  private load(piece: Uint8Array, from: number, length: number): void {
    if (length >= this.tokens.length) this.grow(2 * length);
    for (let i = 0; i < length; i++) {
      this.tokens[i] = this.rankOfByte[piece[from + i] as number] as number;
      this.nexts[i] = i + 1;
      this.prevs[i] = i - 1;
    }
    this.nexts[length] = NO_NEXT;
    this.prevs[length] = length - 1;
    for (let i = 0; i < length; i++) this.unions[i] = this.union(piece, from, i);
  }

  /** Joins the token at `at` with the next one; the lower rank of the two unions this brings. */
  private join(piece: Uint8Array, from: number, at: number): number {
    const next = this.nexts[at] as number;
    const after = this.nexts[next] as number;
    this.tokens[at] = this.unions[at] as number;
    this.unions[next] = NO_RANK;
    this.nexts[at] = after;
    this.prevs[after] = at;
    const right = this.union(piece, from, at);
    this.unions[at] = right;
    const prev = this.prevs[at] as number;
    if (prev < 0) return right;
    const left = this.union(piece, from, prev);
    this.unions[prev] = left;
    return Math.min(left, right);
  }

  /** The rank of the token at `at` joined with the next one. */
  private union(piece: Uint8Array, from: number, at: number): number {
    const next = this.nexts[at] as number;
    const end = this.nexts[next] as number;
    if (end === NO_NEXT) return NO_RANK;
    const left = this.tokens[at] as number;
    const right = this.tokens[next] as number;
    const slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> (32 - CACHE_BITS);
    if (this.cacheLeft[slot] === left && this.cacheRight[slot] === right) {
      return this.cacheUnion[slot] as number;
    }
    const fits = end - at <= this.vocabulary.longestToken;
    const rank = fits ? this.vocabulary.rank(piece, from + at, from + end) : NO_RANK;
    this.cacheLeft[slot] = left;
    this.cacheRight[slot] = right;
    this.cacheUnion[slot] = rank;
    return rank;
  }

  private grow(length: number): void {
    this.tokens = new Int32Array(length);
    this.unions = new Int32Array(length);
    this.nexts = new Int32Array(length);
    this.prevs = new Int32Array(length);
  }
}

/** The leftmost place of the lowest rank, or `length` if nothing can be joined. */
function lowest(unions: Int32Array, length: number): number {
  let best = NO_RANK;
  let at = length;
  for (let i = 0; i < length; i++) {
    const rank = unions[i] as number;
    if (rank < best) {
      best = rank;
      at = i;
    }
  }
  return at;
}

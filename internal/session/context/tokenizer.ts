/**
 * Counts tokens of o200k_base: the split pattern cuts text into pieces, each is encoded on its own.
 *
 * What the rest of this folder builds on, and the tests check against gpt-tokenizer's own counting:
 * - the pattern matches every char, so pieces cover the text, from left to right;
 * - no piece has a space behind another char, nor goes on after a line end with anything but line
 *   ends and slashes: counts of texts split before ` x` and behind `\n` (before `-`, `#`) just add up;
 * - to end a piece the pattern reads at most READ_AHEAD chars behind it, so pieces before a change
 *   of the text stay as they are.
 *
 * Loading takes about 0.2 s and 60 MB: only the worker thread imports this module.
 */
import ranks from 'gpt-tokenizer/bpeRanks/o200k_base';
import { O200K_TOKEN_SPLIT_REGEX } from 'gpt-tokenizer/encodingParams/constants';
import { BytePairEncoder } from './bpe.js';
import { putUtf8, Vocabulary } from './vocabulary.js';

/** A contraction ('ll) that turns out to be none. */
const READ_AHEAD = 3;
/** Words of up to this many UTF-16 units are shown whole or not at all. */
const WORD_UNITS = 16;

export interface Tokenizer {
  /** Tokens of `text`. */
  count(text: string): number;
  /** The start of the piece behind the one that starts at `from`. */
  pieceEnd(text: string, from: number): number;
  /** The ends of the tokens of one piece, in bytes of UTF-8; see BytePairEncoder.encode. */
  encodePiece(piece: string, limit: number): PieceTokens;
}

export interface PieceTokens {
  ends: readonly number[];
  /** False if the limit came before the end of the piece. */
  whole: boolean;
}

/** Builds the tables: 0.1 s. */
export function createTokenizer(): Tokenizer {
  const encoder = new BytePairEncoder(new Vocabulary(ranks));
  const pattern = new RegExp(O200K_TOKEN_SPLIT_REGEX.source, 'gu');
  let scratch = new Uint8Array(1024);

  function pieceEnd(text: string, from: number): number {
    pattern.lastIndex = from;
    return pattern.test(text) ? pattern.lastIndex : text.length;
  }

  function encodePiece(piece: string, limit: number): PieceTokens {
    if (scratch.length < 3 * piece.length) scratch = new Uint8Array(6 * piece.length);
    const length = putUtf8(piece, scratch, 0);
    const ends = encoder.encode(scratch.subarray(0, length), limit);
    return { ends, whole: ends.at(-1) === length };
  }

  function count(text: string): number {
    let total = 0;
    for (let from = 0; from < text.length; ) {
      const end = pieceEnd(text, from);
      total += encodePiece(text.slice(from, end), Number.MAX_SAFE_INTEGER).ends.length;
      from = end;
    }
    return total;
  }

  return { count, pieceEnd, encodePiece };
}

/** Reads a text token by token, only as far as it is asked to, and finds where it can be cut. */
export class Scan {
  readonly text: string;
  /** Tokens of the pieces read so far. */
  tokens = 0;
  private readonly tokenizer: Tokenizer;
  /** Where each piece read so far ends, and the tokens up to there. */
  private readonly ends: number[] = [];
  private readonly totals: number[] = [];

  constructor(tokenizer: Tokenizer, text: string) {
    this.tokenizer = tokenizer;
    this.text = text;
  }

  /** Whether the whole text has been read and has at most `limit` tokens. Reads no further. */
  within(limit: number): boolean {
    let from = this.ends.at(-1) ?? 0;
    while (from < this.text.length && this.tokens <= limit) {
      const end = this.tokenizer.pieceEnd(this.text, from);
      const piece = this.tokenizer.encodePiece(this.text.slice(from, end), limit - this.tokens);
      if (!piece.whole) return false;
      this.tokens += piece.ends.length;
      this.ends.push(end);
      this.totals.push(this.tokens);
      from = end;
    }
    return from === this.text.length && this.tokens <= limit;
  }

  /** About the longest prefix, in UTF-16 units, of at most `limit` tokens; a place between tokens. */
  prefixWithin(limit: number): number {
    const at = lastAtMost(this.totals, limit);
    const from = at < 0 ? 0 : (this.ends[at] as number);
    const end = this.tokenizer.pieceEnd(this.text, from);
    if (end - from <= WORD_UNITS && from > 1) return from;
    const piece = this.text.slice(from, end);
    const left = limit - (at < 0 ? 0 : (this.totals[at] as number));
    const { ends } = this.tokenizer.encodePiece(piece, left);
    return from + unitsWithin(piece, left > 0 ? (ends[left - 1] ?? 0) : 0);
  }

  /** Tokens of the first `kept` units of this text with `ending` behind them: exact. */
  countWith(kept: number, ending: string): number {
    // Pieces that end this early are the same with any ending.
    const at = lastAtMost(this.ends, kept - READ_AHEAD - 1);
    const from = at < 0 ? 0 : (this.ends[at] as number);
    const before = at < 0 ? 0 : (this.totals[at] as number);
    return before + this.tokenizer.count(this.text.slice(from, kept) + ending);
  }
}

/** The last index of an ascending list whose value is at most `limit`; -1 if there is none. */
function lastAtMost(values: readonly number[], limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] as number) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** How many UTF-16 units of `text`, whole code points, fit into `bytes` bytes of UTF-8. */
function unitsWithin(text: string, bytes: number): number {
  let units = 0;
  let used = 0;
  for (const char of text) {
    used += Buffer.byteLength(char);
    if (used > bytes) break;
    units += char.length;
  }
  return units;
}

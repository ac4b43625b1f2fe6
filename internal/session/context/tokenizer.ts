/**
 * Counts tokens of o200k_base: the split pattern cuts text into pieces, each is encoded on its own.
 *
 * What the rest of this folder builds on, and the tests check against gpt-tokenizer's own counting:
 * - the pattern matches every char, so pieces cover the text, from left to right;
 * - no piece has a space behind another char, nor goes on after a line end with anything but line
 *   ends and slashes: counts of texts split before ` x`, and behind `\n` where `-` or `#` follows,
 *   just add up;
 * - if the text is cut and goes on with `…`, the pieces that end some chars before that stay as
 *   they were (scan.ts).
 *
 * Loading takes about 0.2 s and 60 MB: only the worker thread imports this module.
 */
import ranks from 'gpt-tokenizer/bpeRanks/o200k_base';
import { O200K_TOKEN_SPLIT_REGEX } from 'gpt-tokenizer/encodingParams/constants';
import { BytePairEncoder } from './bpe.js';
import { putUtf8, Vocabulary } from './vocabulary.js';

export interface Tokenizer {
  /** Tokens of `text`. */
  count(text: string): number;
  /** Where the piece that starts at `from` ends. */
  pieceEnd(text: string, from: number): number;
  /** The ends of the tokens of one piece, in bytes of UTF-8; see BytePairEncoder.encode. */
  encodePiece(piece: string, limit: number, begun?: readonly number[]): PieceTokens;
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

  function encodePiece(piece: string, limit: number, begun?: readonly number[]): PieceTokens {
    if (scratch.length < 3 * piece.length) scratch = new Uint8Array(6 * piece.length);
    const length = putUtf8(piece, scratch, 0);
    const ends = encoder.encode(scratch.subarray(0, length), limit, begun);
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

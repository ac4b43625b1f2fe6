/** Reads one text token by token, only as far as it is asked to, and finds where it can be cut. */
import type { Tokenizer } from './tokenizer.js';

/** What the split pattern reads of a contraction ('ll) before it knows that it is none. */
const READ_AHEAD = 3;
/** Words of up to this many UTF-16 units are shown whole or not at all. */
const WORD_UNITS = 16;

/** A piece of which at least a beginning has been encoded. */
interface Piece {
  start: number;
  end: number;
  /** Of its tokens, in bytes from its start. */
  tokenEnds: readonly number[];
}

export class Scan {
  readonly text: string;
  private readonly tokenizer: Tokenizer;
  /** Where each piece that was read to its end ends, and the tokens up to there. */
  private readonly ends: number[] = [];
  private readonly totals: number[] = [];
  /** The last piece that was read, perhaps not to its end: long ones are not to be read twice. */
  private last: Piece = { start: 0, end: 0, tokenEnds: [] };

  constructor(tokenizer: Tokenizer, text: string) {
    this.tokenizer = tokenizer;
    this.text = text;
  }

  /** Tokens read so far; of the whole text once within() has said yes. */
  get tokens(): number {
    const unfinished = this.last.end > this.place ? this.last.tokenEnds.length : 0;
    return (this.totals.at(-1) ?? 0) + unfinished;
  }

  /** Whether the text has at most `limit` tokens. Reads no further than it takes to know. */
  within(limit: number): boolean {
    while (this.place < this.text.length && this.tokens <= limit) this.readPiece(limit);
    return this.place === this.text.length && this.tokens <= limit;
  }

  /** About the longest prefix, in UTF-16 units, of at most `limit` tokens; ends with a token. */
  prefixWithin(limit: number): number {
    const { start, tokens } = this.lastWhole(this.totals, limit);
    const end = this.tokenizer.pieceEnd(this.text, start);
    // A word too much for the whole limit is cut even so.
    if (end - start <= WORD_UNITS && start > 1) return start;
    const piece = this.text.slice(start, end);
    const left = limit - tokens;
    const tokenEnds = this.known(start, left) ?? this.tokenizer.encodePiece(piece, left).ends;
    return start + unitsWithin(piece, tokenEnds[Math.min(left, tokenEnds.length) - 1] ?? 0);
  }

  /** Tokens of the first `kept` units of this text and then `ending`, which starts with `…`. */
  countWith(kept: number, ending: string): number {
    // Pieces that end this early are the same with any such ending.
    const { start, tokens } = this.lastWhole(this.ends, kept - READ_AHEAD - 1);
    const rest = this.text.slice(start, kept) + ending;
    const end = this.tokenizer.pieceEnd(rest, 0);
    const sameBytes = Buffer.byteLength(this.text.slice(start, Math.min(start + end, kept)));
    const begun = start === this.last.start ? this.last.tokenEnds : [];
    const same = begun.slice(0, lastAtMost(begun, sameBytes) + 1);
    const piece = this.tokenizer.encodePiece(rest.slice(0, end), Number.MAX_SAFE_INTEGER, same);
    return tokens + piece.ends.length + this.tokenizer.count(rest.slice(end));
  }

  /** The end of what was read in whole pieces. */
  private get place(): number {
    return this.ends.at(-1) ?? 0;
  }

  private readPiece(limit: number): void {
    const start = this.place;
    const before = this.totals.at(-1) ?? 0;
    const end = start === this.last.start ? this.last.end : 0;
    const begun = end > 0 ? this.last.tokenEnds : [];
    const pieceEnd = end || this.tokenizer.pieceEnd(this.text, start);
    const text = this.text.slice(start, pieceEnd);
    const piece = this.tokenizer.encodePiece(text, limit - before, begun);
    this.last = { start, end: pieceEnd, tokenEnds: piece.ends };
    if (!piece.whole) return;
    this.ends.push(pieceEnd);
    this.totals.push(before + piece.ends.length);
  }

  /** The end of the last whole piece whose value in `list` is at most `limit`. */
  private lastWhole(list: readonly number[], limit: number): { start: number; tokens: number } {
    const at = lastAtMost(list, limit);
    return at < 0
      ? { start: 0, tokens: 0 }
      : { start: this.ends[at] as number, tokens: this.totals[at] as number };
  }

  /** The token ends of the piece that starts at `start`, if `count` of them are at hand. */
  private known(start: number, count: number): readonly number[] | null {
    const { last } = this;
    return start === last.start && last.tokenEnds.length >= count ? last.tokenEnds : null;
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
    used += utf8Bytes(char);
    if (used > bytes) break;
    units += char.length;
  }
  return units;
}

function utf8Bytes(char: string): number {
  if (char.length === 2) return 4;
  const unit = char.charCodeAt(0);
  if (unit < 0x80) return 1;
  return unit < 0x800 ? 2 : 3;
}

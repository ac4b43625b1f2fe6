/**
 * The tokens of a vocabulary by their bytes: an open-addressing hash table in typed arrays.
 *
 * A Map of 200,000 strings answers as well, but needs a new string for every question, and merging
 * asks several a byte; it also takes several times the memory.
 */

/** No token: larger than every rank. */
export const NO_RANK = 0x7fffffff;
/** UTF-8 needs at most this many bytes for one UTF-16 unit. */
const BYTES_PER_UNIT = 3;

export class Vocabulary {
  readonly longestToken: number;
  /** All tokens in the order of their ranks, and where each begins. */
  private readonly bytes: Uint8Array;
  private readonly offsets: Int32Array;
  /** Pairs of (hash, rank): a miss touches one cache line. */
  private readonly slots: Int32Array;
  private readonly mask: number;

  /** @param tokens every token at the index of its rank, as text or, if not UTF-8, as its bytes. */
  constructor(tokens: readonly (string | readonly number[])[]) {
    const units = tokens.reduce((sum, token) => sum + token.length, 0);
    const bytes = new Uint8Array(BYTES_PER_UNIT * units);
    this.offsets = new Int32Array(tokens.length + 1);
    this.mask = 2 ** Math.ceil(Math.log2(2 * tokens.length)) - 1;
    this.slots = new Int32Array(2 * (this.mask + 1)).fill(NO_RANK);
    let end = 0;
    let longest = 0;
    tokens.forEach((token, rank) => {
      const start = end;
      end += putToken(token, bytes, start);
      longest = Math.max(longest, end - start);
      this.offsets[rank + 1] = end;
      this.insert(hashOf(bytes, start, end), rank);
    });
    this.bytes = bytes.slice(0, end);
    this.longestToken = longest;
  }

  /** The rank of the token that is bytes[start … end), or NO_RANK. */
  rank(bytes: Uint8Array, start: number, end: number): number {
    const hash = hashOf(bytes, start, end);
    for (let at = hash & this.mask; ; at = (at + 1) & this.mask) {
      const rank = this.slots[2 * at + 1] as number;
      if (rank === NO_RANK) return NO_RANK;
      if (this.slots[2 * at] === hash && this.equals(rank, bytes, start, end)) return rank;
    }
  }

  private insert(hash: number, rank: number): void {
    let at = hash & this.mask;
    while (this.slots[2 * at + 1] !== NO_RANK) at = (at + 1) & this.mask;
    this.slots[2 * at] = hash;
    this.slots[2 * at + 1] = rank;
  }

  private equals(rank: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.offsets[rank] as number;
    if ((this.offsets[rank + 1] as number) - from !== end - start) return false;
    for (let i = start; i < end; i++) {
      if (this.bytes[from + i - start] !== bytes[i]) return false;
    }
    return true;
  }
}

const encoder = new TextEncoder();

function putToken(token: string | readonly number[], into: Uint8Array, at: number): number {
  if (typeof token === 'string') return putUtf8(token, into, at);
  into.set(token, at);
  return token.length;
}

/** Writes the UTF-8 bytes of `text`; how many. Short ASCII text is faster without the encoder. */
export function putUtf8(text: string, into: Uint8Array, at: number): number {
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return encoder.encodeInto(text, into.subarray(at)).written;
    into[at + i] = unit;
  }
  return text.length;
}

/** FNV-1a with a final mix; its low bits choose the slot. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash ^ (hash >>> 15);
}

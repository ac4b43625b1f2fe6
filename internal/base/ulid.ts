/**
 * ULIDs (https://github.com/ulid/spec): 48 bits of milliseconds, then 80 bits, in Crockford base 32.
 *
 * The 80 bits are one counter for the whole process: a random start and random steps. So ids of one
 * millisecond increase in the order of their making even when events of other times come between,
 * which the usual "same millisecond as last time, add one" does not give for backfilled events.
 */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const PAIRS = Array.from({ length: 1024 }, (_, i) => `${ALPHABET[i >> 5]}${ALPHABET[i & 31]}`);
const HALF = 2 ** 40;
const MAX_STEP = 2 ** 20;

/** Ten characters for a time in whole milliseconds since 1970. */
export function encodeMs(ms: number): string {
  return encode20(Math.floor(ms / HALF)).slice(2) + encode40(ms % HALF);
}

function encode40(value: number): string {
  return encode20(Math.floor(value / 2 ** 20)) + encode20(value % 2 ** 20);
}

function encode20(value: number): string {
  return PAIRS[value >> 10] + PAIRS[value & 1023];
}

/** A maker of ULIDs that increase over consecutive calls of one process in one millisecond. */
export class UlidFactory {
  private high: number;
  private low: number;
  private highText: string;
  private lastMs = -1;
  private lastMsText = '';
  private readonly random: () => number;

  /** @param random uniform in [0, 1), as Math.random; seeded in tests. */
  constructor(random: () => number = Math.random) {
    this.random = random;
    // The top bit stays 0: 2^79 steps of headroom, so the counter cannot wrap.
    this.high = Math.floor(random() * (HALF / 2));
    this.low = Math.floor(random() * HALF);
    this.highText = encode40(this.high);
  }

  /** 26 characters; `ms` is a whole number of milliseconds in 0 … 2^48 − 1. */
  next(ms: number): string {
    this.low += 1 + Math.floor(this.random() * MAX_STEP);
    if (this.low >= HALF) {
      this.low -= HALF;
      this.high += 1;
      this.highText = encode40(this.high);
    }
    if (ms !== this.lastMs) {
      this.lastMs = ms;
      this.lastMsText = encodeMs(ms);
    }
    return this.lastMsText + this.highText + encode40(this.low);
  }
}

const DECODE = new Map([...ALPHABET].map((char, i) => [char, i]));

/** The milliseconds of a ULID, or null if `text` is not one. */
export function decodeMs(text: string): number | null {
  if (!/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/.test(text)) return null;
  let ms = 0;
  for (const char of text.slice(0, 10)) ms = ms * 32 + (DECODE.get(char) ?? 0);
  return ms;
}

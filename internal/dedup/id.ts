import { assert } from '../base/assert.js';

/** `mem_` + ULID ↔ the 128 bits of the ULID as four big-endian words: a quarter of the memory. */
const PREFIX = 'mem_';
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const DIGIT = new Int8Array(128).fill(-1);
for (let i = 0; i < 32; i++) DIGIT[ALPHABET.charCodeAt(i)] = i;
const LENGTH = PREFIX.length + 26;

/** Writes the four words of an id to out[at…at+3]. Asserts that it is one. */
export function packId(id: string, out: Uint32Array, at: number): void {
  // 28 bits (the first digit of a ULID is below 8), three times 30, and 10.
  const a = digits(id, 4, 10);
  const b = digits(id, 10, 16);
  const c = digits(id, 16, 22);
  const d = digits(id, 22, 28);
  const e = digits(id, 28, 30);
  const isId = id.length === LENGTH && hasPrefix(id) && (a | b | c | d | e) >= 0;
  assert(isId && a < 2 ** 28, 'a dedup entry is held by mem_ + ULID');
  out[at] = (a << 4) | (b >>> 26);
  out[at + 1] = (b << 6) | (c >>> 24);
  out[at + 2] = (c << 8) | (d >>> 22);
  out[at + 3] = (d << 10) | e;
}

/** startsWith takes as long as all the rest of packId together. */
function hasPrefix(id: string): boolean {
  for (let i = 0; i < PREFIX.length; i++) {
    if (id.charCodeAt(i) !== PREFIX.charCodeAt(i)) return false;
  }
  return true;
}

/** The value of up to six digits, or a negative number if one of them is none. */
function digits(id: string, from: number, to: number): number {
  let value = 0;
  for (let i = from; i < to; i++) {
    const code = id.charCodeAt(i);
    value = (value << 5) | DIGIT[code & 127] | (code > 127 ? -1 : 0);
  }
  return value;
}

/** The id whose words stand at words[at…at+3]. */
export function unpackId(words: Uint32Array, at: number): string {
  let value = 0n;
  for (let i = 0; i < 4; i++) value = (value << 32n) | BigInt(words[at + i]);
  let text = '';
  for (let i = 0; i < 26; i++) {
    text = ALPHABET[Number(value & 31n)] + text;
    value >>= 5n;
  }
  return PREFIX + text;
}

/** Whether the four words at a[i…] and b[j…] are equal. */
export function sameWords(a: Uint32Array, i: number, b: Uint32Array, j: number): boolean {
  return a[i] === b[j] && a[i + 1] === b[j + 1] && a[i + 2] === b[j + 2] && a[i + 3] === b[j + 3];
}

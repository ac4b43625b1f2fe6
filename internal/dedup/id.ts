import { assert } from '../base/assert.js';

/** `mem_` + ULID ↔ the 128 bits of the ULID as four big-endian words: a quarter of the memory. */
const PREFIX = 'mem_';
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const DIGIT = new Uint8Array(128).fill(255);
for (let i = 0; i < 32; i++) DIGIT[ALPHABET.charCodeAt(i)] = i;
const LENGTH = PREFIX.length + 26;
const digits = new Uint8Array(26);

/** Writes the four words of an id to out[at…at+3]. Asserts that it is one. */
export function packId(id: string, out: Uint32Array, at: number): void {
  let bad = id.length === LENGTH && id.startsWith(PREFIX) ? 0 : 255;
  for (let i = 0; i < 26; i++) {
    const digit = DIGIT[id.charCodeAt(i + PREFIX.length) & 127];
    digits[i] = digit;
    bad |= digit;
  }
  assert(bad < 32 && digits[0] < 8, 'a dedup entry is held by mem_ + ULID');
  const d = digits;
  out[at] =
    (d[0] << 29) | (d[1] << 24) | (d[2] << 19) | (d[3] << 14) | (d[4] << 9) | (d[5] << 4) | (d[6] >> 1);
  out[at + 1] =
    (d[6] << 31) |
    (d[7] << 26) |
    (d[8] << 21) |
    (d[9] << 16) |
    (d[10] << 11) |
    (d[11] << 6) |
    (d[12] << 1) |
    (d[13] >> 4);
  out[at + 2] =
    (d[13] << 28) | (d[14] << 23) | (d[15] << 18) | (d[16] << 13) | (d[17] << 8) | (d[18] << 3) | (d[19] >> 2);
  out[at + 3] =
    (d[19] << 30) |
    (d[20] << 25) |
    (d[21] << 20) |
    (d[22] << 15) |
    (d[23] << 10) |
    (d[24] << 5) |
    d[25];
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

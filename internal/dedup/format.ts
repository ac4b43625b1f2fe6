import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { assert } from '../base/assert.js';

/** The run file, as FORMAT.md describes it. Little-endian throughout. */
export const BLOCK_BYTES = 4096;
export const BLOCK_WORDS = BLOCK_BYTES / 4;
/** 102 × 40 bytes, then 16 bytes of trailer. */
export const ENTRIES_PER_BLOCK = 102;
/** Words of an entry: 4 hash, 4 id, 2 ingestion time (float64 microseconds). */
export const ENTRY_WORDS = 10;
export const FOOTER_BYTES = 256;
const MAGIC = 'MTDEDUP1';
const COUNT_WORD = 1020;
const NUMBER_WORD = 1021;
const NONCE_WORD = 1022;
const CRC_WORD = 1023;

// Typed arrays have the machine's byte order, which Node only ever has as little-endian today.
assert(new Uint8Array(new Uint32Array([1]).buffer)[0] === 1, 'the machine is little-endian');

export interface Footer {
  keys: number;
  blocks: number;
  newestUs: number;
  through: number;
  /** The secret of the key hash (hash.ts), so that runs explain themselves. */
  secret: Uint8Array;
  /** Of the filter. */
  partitions: number;
  filterBytes: number;
  fencesCrc: number;
  filterCrc: number;
  /** In every block of the run, so that a block of another file is not taken for one of its own. */
  nonce: number;
}

/** Completes a block of `count` entries in place: count, number, nonce, CRC. */
export function sealBlock(block: Uint8Array, words: Uint32Array, info: BlockInfo): void {
  words.fill(0, info.count * ENTRY_WORDS);
  words[COUNT_WORD] = info.count;
  words[NUMBER_WORD] = info.number;
  words[NONCE_WORD] = info.nonce;
  words[CRC_WORD] = crc32(block.subarray(0, CRC_WORD * 4));
}

export interface BlockInfo {
  count: number;
  number: number;
  nonce: number;
}

/** The entries of the block that starts at words[at], or −1 if it is damaged or another block. */
export function checkBlock(bytes: Uint8Array, words: Uint32Array, at: BlockPlace): number {
  const start = at.index * BLOCK_WORDS;
  const covered = bytes.subarray(start * 4, (start + CRC_WORD) * 4);
  if (crc32(covered) !== words[start + CRC_WORD]) return -1;
  if (words[start + NUMBER_WORD] !== at.number || words[start + NONCE_WORD] !== at.nonce) return -1;
  const count = words[start + COUNT_WORD];
  return count <= ENTRIES_PER_BLOCK ? count : -1;
}

export interface BlockPlace {
  /** Which block of the buffer. */
  index: number;
  /** Which block of which file it must be. */
  number: number;
  nonce: number;
}

export function encodeFooter(footer: Footer): Buffer {
  const bytes = Buffer.alloc(FOOTER_BYTES);
  bytes.write(MAGIC, 0, 'latin1');
  [footer.keys, footer.blocks, footer.newestUs, footer.through].forEach((value, i) => {
    bytes.writeDoubleLE(value, 8 + i * 8);
  });
  bytes.set(footer.secret, 40);
  const { partitions, filterBytes, fencesCrc, filterCrc, nonce } = footer;
  [partitions, filterBytes, fencesCrc, filterCrc, nonce].forEach((value, i) => {
    bytes.writeUInt32LE(value, 72 + i * 4);
  });
  bytes.writeUInt32LE(crc32(bytes.subarray(0, FOOTER_BYTES - 4)), FOOTER_BYTES - 4);
  return bytes;
}

/** Null if the bytes are not an undamaged footer. */
export function decodeFooter(bytes: Buffer): Footer | null {
  if (bytes.length !== FOOTER_BYTES || bytes.toString('latin1', 0, 8) !== MAGIC) return null;
  if (crc32(bytes.subarray(0, FOOTER_BYTES - 4)) !== bytes.readUInt32LE(FOOTER_BYTES - 4)) {
    return null;
  }
  return {
    keys: bytes.readDoubleLE(8),
    blocks: bytes.readDoubleLE(16),
    newestUs: bytes.readDoubleLE(24),
    through: bytes.readDoubleLE(32),
    secret: Uint8Array.from(bytes.subarray(40, 72)),
    partitions: bytes.readUInt32LE(72),
    filterBytes: bytes.readUInt32LE(76),
    fencesCrc: bytes.readUInt32LE(80),
    filterCrc: bytes.readUInt32LE(84),
    nonce: bytes.readUInt32LE(88),
  };
}

/** What the catalog keeps of a file: with it the footer is known to be this run's. */
export function checksumOf(footer: Uint8Array): string {
  return createHash('sha256').update(footer).digest('hex');
}

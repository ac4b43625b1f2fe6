import { BLOCK_WORDS } from './format.js';

/** Blocks read or written in one call: 128 KiB. */
export const CHUNK_BLOCKS = 32;

/**
 * Buffers for a chunk, used again and again. A worker thread makes so little garbage otherwise
 * that V8 would let dead buffers pile up to its limit for external memory, which is 64 MB.
 */
const spare: Uint32Array[] = [];

/** A buffer with whatever was in it before. */
export function takeChunk(): Uint32Array {
  return spare.pop() ?? new Uint32Array(CHUNK_BLOCKS * BLOCK_WORDS);
}

export function giveChunk(chunk: Uint32Array): void {
  spare.push(chunk);
}

import * as fs from 'node:fs';
import { crc32 } from 'node:zlib';
import { type FilterRoom, openRoom, SLOT_PRINTS } from './arena.js';
import { isMediaError, readAll } from './files.js';
import { partitionBytes, SHAPE_WORDS } from './filter.js';
import {
  BLOCK_BYTES,
  BLOCK_WORDS,
  checkBlock,
  checksumOf,
  decodeFooter,
  ENTRY_WORDS,
  FOOTER_BYTES,
  type Footer,
} from './format.js';
import { sameWords } from './id.js';

/** The bytes are not what was written. */
export class DamagedRun extends Error {
  override name = 'DamagedRun';
}

/** Where an entry stands in a buffer of words, or which block could not be read. */
export type Found = { words: Uint32Array; at: number } | { damagedBlock: number } | null;

/** An open run file. Everything is synchronous: only worker threads use it. */
export class RunFile {
  readonly footer: Footer;
  private readonly fd: number;
  private readonly fences: Uint32Array;
  private readonly block = new Uint32Array(BLOCK_WORDS);
  private readonly blockBytes = new Uint8Array(this.block.buffer);

  private constructor(fd: number, footer: Footer, fences: Uint32Array) {
    this.fd = fd;
    this.footer = footer;
    this.fences = fences;
  }

  /**
   * Opens a run and checks its footer and fences. Throws DamagedRun if the file is missing, torn,
   * altered, or not the one whose checksum the catalog holds; other errors as they come.
   */
  static open(file: string, checksum: string): RunFile {
    const fd = openFile(file);
    try {
      const footer = readFooter(fd, checksum);
      const fences = new Uint32Array(footer.blocks);
      const bytes = new Uint8Array(fences.buffer);
      readExactly(fd, bytes, footer.blocks * BLOCK_BYTES);
      if (crc32(bytes) !== footer.fencesCrc) throw new DamagedRun('its fences are damaged');
      return new RunFile(fd, footer, fences);
    } catch (error) {
      fs.closeSync(fd);
      throw isMediaError(error) ? new DamagedRun('it cannot be read') : error;
    }
  }

  close(): void {
    fs.closeSync(this.fd);
  }

  /** Looks the hash at hashes[at…at+3] up: one block is read, seldom two. */
  find(hashes: Uint32Array, at: number): Found {
    const hash0 = hashes[at];
    let missed: Found = null;
    for (let number = this.firstBlock(hash0); number < this.fences.length; number++) {
      if (this.fences[number] > hash0) break;
      const count = this.readBlock(number);
      if (count < 0) missed = { damagedBlock: number };
      for (let entry = 0; entry < count * ENTRY_WORDS; entry += ENTRY_WORDS) {
        if (sameWords(this.block, entry, hashes, at)) return { words: this.block, at: entry };
      }
    }
    return missed;
  }

  /** The last block that begins below hash0: equal first words may go over a block's end. */
  private firstBlock(hash0: number): number {
    let low = 0;
    let high = this.fences.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.fences[middle] < hash0) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  private readBlock(number: number): number {
    if (!this.tryRead(this.blockBytes, number * BLOCK_BYTES)) return -1;
    const { nonce } = this.footer;
    return checkBlock(this.blockBytes, this.block, { index: 0, number, nonce });
  }

  /** Reads the blocks from `number` on into `bytes`; false if the medium refuses. */
  tryRead(bytes: Uint8Array, position: number): boolean {
    try {
      return readAll(this.fd, bytes, position) === bytes.length;
    } catch (error) {
      if (isMediaError(error)) return false;
      throw error;
    }
  }

  /**
   * Reads the filter's planes into the room and returns its shapes, or null if it is damaged: the
   * run can do without, slowly.
   */
  readFilter(room: FilterRoom): Uint32Array | null {
    const { partitions, blocks, filterCrc } = this.footer;
    const shapes = new Uint32Array(partitions * SHAPE_WORDS);
    const shapeBytes = new Uint8Array(shapes.buffer);
    let position = blocks * (BLOCK_BYTES + 4);
    if (!this.tryRead(shapeBytes, position)) return null;
    position += shapeBytes.length;
    let crc = crc32(shapeBytes);
    for (const [i, slot] of openRoom(room).entries()) {
      const prints = shapes[i * SHAPE_WORDS];
      if (prints > SLOT_PRINTS) return null;
      const planes = slot.subarray(0, partitionBytes(prints));
      if (!this.tryRead(planes, position)) return null;
      position += planes.length;
      crc = crc32(planes, crc);
    }
    return crc === filterCrc ? shapes : null;
  }
}

function openFile(file: string): number {
  try {
    return fs.openSync(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new DamagedRun('it is missing');
    throw error;
  }
}

function readFooter(fd: number, checksum: string): Footer {
  const size = fs.fstatSync(fd).size;
  if (size < FOOTER_BYTES) throw new DamagedRun('it is too short');
  const bytes = Buffer.alloc(FOOTER_BYTES);
  readExactly(fd, bytes, size - FOOTER_BYTES);
  const footer = decodeFooter(bytes);
  if (footer === null) throw new DamagedRun('its footer is damaged');
  if (checksumOf(bytes) !== checksum) throw new DamagedRun('it is not the run of the catalog');
  const expected = footer.blocks * (BLOCK_BYTES + 4) + footer.filterBytes + FOOTER_BYTES;
  if (size !== expected) throw new DamagedRun('its length is wrong');
  return footer;
}

function readExactly(fd: number, bytes: Uint8Array, position: number): void {
  if (readAll(fd, bytes, position) < bytes.length) throw new DamagedRun('it is too short');
}

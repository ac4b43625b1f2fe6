import { randomInt } from 'node:crypto';
import * as fs from 'node:fs';
import { crc32 } from 'node:zlib';
import { type FilterRoom, openRoom } from './arena.js';
import { CHUNK_BLOCKS, giveChunk, takeChunk } from './chunks.js';
import { publish, removeFiles, writeAll } from './files.js';
import { partitionBytes, SHAPE_WORDS } from './filter.js';
import { FilterBuilder } from './filterbuild.js';
import {
  BLOCK_BYTES,
  BLOCK_WORDS,
  checksumOf,
  ENTRIES_PER_BLOCK,
  ENTRY_WORDS,
  encodeFooter,
  type Footer,
  sealBlock,
} from './format.js';

/** A run that is durable under its final name. */
export interface WrittenRun {
  keys: number;
  bytes: number;
  checksum: string;
  newestUs: number;
  /** Of the filter, whose planes are in the room. */
  shapes: Uint32Array;
}

export interface RunSettings {
  /** Final path; `.tmp` is appended while it is written. */
  file: string;
  secret: Uint8Array;
  through: number;
  /** Slots for the filter, enough for all keys that may come. */
  room: FilterRoom;
}

/** Synced in between, so that the last sync of a big run does not hold the disk for seconds. */
const SYNC_EVERY_BYTES = 16 * 1024 * 1024;

/** Writes entries that come in ascending order of hash as one run file (FORMAT.md). */
export class RunWriter {
  keys = 0;
  private readonly settings: RunSettings;
  private readonly fd: number;
  private readonly chunk = takeChunk();
  private readonly room: Uint8Array[];
  private readonly filter: FilterBuilder;
  private fences = new Uint32Array(1024);
  private blocks = 0;
  private inChunk = 0;
  private inBlock = 0;
  private readonly nonce = randomInt(2 ** 32);
  private newestUs = Number.NEGATIVE_INFINITY;
  private bytes = 0;
  private unsynced = 0;
  private readonly time = new Float64Array(1);
  private readonly timeWords = new Uint32Array(this.time.buffer);

  constructor(settings: RunSettings) {
    this.settings = settings;
    this.room = openRoom(settings.room);
    this.filter = new FilterBuilder(this.room);
    this.fd = fs.openSync(`${settings.file}.tmp`, 'wx', 0o600);
  }

  /** Takes the entry of ENTRY_WORDS words at words[at…]. */
  add(words: Uint32Array, at: number): void {
    const to = this.inChunk * BLOCK_WORDS + this.inBlock * ENTRY_WORDS;
    for (let i = 0; i < ENTRY_WORDS; i++) this.chunk[to + i] = words[at + i];
    if (this.inBlock === 0) this.addFence(words[at]);
    this.filter.add(words, at);
    this.timeWords[0] = words[at + 8];
    this.timeWords[1] = words[at + 9];
    if (this.time[0] > this.newestUs) this.newestUs = this.time[0];
    this.keys++;
    if (++this.inBlock === ENTRIES_PER_BLOCK) this.closeBlock();
  }

  /** Completes the file and makes it durable; null (and no file) if there were no entries. */
  finish(): WrittenRun | null {
    if (this.keys === 0) {
      this.abort();
      return null;
    }
    if (this.inBlock > 0) this.closeBlock();
    this.flushChunk();
    const fences = bytesOf(this.fences.subarray(0, this.blocks));
    this.write(fences);
    const shapes = this.filter.finish();
    const planes = this.room.map((slot, i) =>
      slot.subarray(0, partitionBytes(shapes[i * SHAPE_WORDS])),
    );
    const parts = [bytesOf(shapes), ...planes];
    for (const part of parts) this.write(part);
    const footer: Footer = {
      keys: this.keys,
      blocks: this.blocks,
      newestUs: this.newestUs,
      through: this.settings.through,
      secret: this.settings.secret,
      partitions: planes.length,
      filterBytes: parts.reduce((sum, part) => sum + part.length, 0),
      fencesCrc: crc32(fences),
      filterCrc: parts.reduce((crc, part) => crc32(part, crc), 0),
      nonce: this.nonce,
    };
    return this.publish(encodeFooter(footer), shapes);
  }

  private publish(footer: Buffer, shapes: Uint32Array): WrittenRun {
    this.write(footer);
    giveChunk(this.chunk);
    publish(this.fd, `${this.settings.file}.tmp`, this.settings.file);
    fs.closeSync(this.fd);
    const { keys, bytes, newestUs } = this;
    return { keys, bytes, checksum: checksumOf(footer), newestUs, shapes };
  }

  /** Gives up: nothing of it stays. */
  abort(): void {
    fs.closeSync(this.fd);
    removeFiles([`${this.settings.file}.tmp`]);
  }

  private addFence(hash0: number): void {
    if (this.blocks === this.fences.length) {
      const bigger = new Uint32Array(this.fences.length * 2);
      bigger.set(this.fences);
      this.fences = bigger;
    }
    this.fences[this.blocks] = hash0;
  }

  private closeBlock(): void {
    const start = this.inChunk * BLOCK_WORDS;
    const words = this.chunk.subarray(start, start + BLOCK_WORDS);
    const info = { count: this.inBlock, number: this.blocks, nonce: this.nonce };
    sealBlock(bytesOf(words), words, info);
    this.blocks++;
    this.inBlock = 0;
    if (++this.inChunk === CHUNK_BLOCKS) this.flushChunk();
  }

  private flushChunk(): void {
    this.write(bytesOf(this.chunk).subarray(0, this.inChunk * BLOCK_BYTES));
    this.inChunk = 0;
  }

  private write(bytes: Uint8Array): void {
    writeAll(this.fd, bytes);
    this.bytes += bytes.length;
    this.unsynced += bytes.length;
    if (this.unsynced < SYNC_EVERY_BYTES) return;
    fs.fdatasyncSync(this.fd);
    this.unsynced = 0;
  }
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

import type { Payload } from '../log.js';
import { MAX_PAYLOAD, RECORD_HEADER, stageRecord } from './format.js';

/** Bytes of a staging buffer, and so of a group; a larger record is a group of its own. */
export const GROUP_BYTES = 4 * 1024 * 1024;
/** Buffers kept for reuse: one is filled while another is written. */
const SPARES = 2;

/** Records that are written and synced together. */
export interface Group {
  buffer: Buffer<ArrayBuffer>;
  used: number;
  resolve: ((position: number) => void)[];
  reject: ((reason: Error) => void)[];
}

/**
 * Where appended records wait, already in the layout of the file: a payload is encoded once,
 * straight into the buffer that goes to the log's thread.
 */
export class Staging {
  private filling: Group | null = null;
  private readonly sealed: Group[] = [];
  private readonly spares: ArrayBuffer[] = [];

  /** The group that the next record goes to, with room for it. */
  groupFor(payload: Payload): Group {
    const { filling } = this;
    // Mostly there is room for the worst case, and nothing need be counted.
    const most = RECORD_HEADER + mostBytesOf(payload);
    if (filling !== null && filling.used + most <= filling.buffer.length) return filling;
    const bytes = RECORD_HEADER + bytesOf(payload);
    if (filling !== null && filling.used + bytes <= filling.buffer.length) return filling;
    if (filling !== null) this.sealed.push(filling);
    this.filling = this.start(bytes);
    return this.filling;
  }

  /** The oldest group that waits; null if none does. */
  take(): Group | null {
    const oldest = this.sealed.shift() ?? this.filling;
    if (oldest === this.filling) this.filling = null;
    return oldest;
  }

  /** Takes back the memory of a group that has been written. */
  recycle(buffer: ArrayBuffer): void {
    const fits = buffer.byteLength === GROUP_BYTES && this.spares.length < SPARES;
    if (fits) this.spares.push(buffer);
  }

  private start(bytes: number): Group {
    const spare = bytes <= GROUP_BYTES ? this.spares.pop() : undefined;
    const memory = spare ?? new ArrayBuffer(Math.max(GROUP_BYTES, bytes));
    return { buffer: Buffer.from(memory), used: 0, resolve: [], reject: [] };
  }
}

/** Puts a record into `group`. @returns the bytes that it takes there */
export function stage(group: Group, payload: Payload): number {
  const bytes = stageRecord(group.buffer, group.used, payload);
  group.used += bytes;
  return bytes;
}

/** Whether a payload is larger than the format allows. */
export function isTooLarge(payload: Payload): boolean {
  return mostBytesOf(payload) > MAX_PAYLOAD && bytesOf(payload) > MAX_PAYLOAD;
}

/** At most 3 bytes a UTF-16 unit. */
function mostBytesOf(payload: Payload): number {
  return typeof payload === 'string' ? payload.length * 3 : payload.length;
}

function bytesOf(payload: Payload): number {
  return typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length;
}

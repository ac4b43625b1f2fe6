import { type Disk, isZero } from './disk.js';
import {
  decodeRecordHeader,
  payloadMatches,
  RECORD_HEADER,
  RECORD_MAGIC,
  type RecordHeader,
} from './format.js';

const WINDOW_BYTES = 1024 * 1024;

/** What a walk over a segment meets, in the order of its bytes. */
export type Found =
  /** `payload` is valid until the next step only. */
  | { kind: 'record'; offset: number; end: number; sequence: number; payload: Buffer }
  /** Bytes that are no record, before one that is; `missing` records are not there. */
  | { kind: 'damage'; offset: number; end: number; missing: number }
  /** Nothing valid from here to the end. `zero`: only preallocated space, or nothing at all. */
  | { kind: 'tail'; offset: number; end: number; zero: boolean };

/** A file read through one buffer: memory is bounded by the window or by the largest record. */
export class Window {
  readonly size: number;
  private readonly disk: Disk;
  private readonly fd: number;
  private buffer: Buffer = Buffer.alloc(0);
  private start = 0;
  private filled = 0;

  /** @param size where the file ends for this reader: its length, or the tail of a live segment */
  constructor(disk: Disk, fd: number, size: number) {
    this.disk = disk;
    this.fd = fd;
    this.size = size;
  }

  /**
   * The bytes [offset, offset + length), or null if the file ends before; valid until the next
   * call.
   */
  at(offset: number, length: number): Buffer | null {
    if (offset + length > this.size) return null;
    if (offset < this.start || offset + length > this.start + this.filled) {
      if (!this.fill(offset, length)) return null;
    }
    return this.buffer.subarray(offset - this.start, offset - this.start + length);
  }

  /** As many bytes from `offset` as one window holds; none at the end. */
  some(offset: number): Buffer {
    const length = Math.max(0, Math.min(WINDOW_BYTES, this.size - offset));
    return this.at(offset, length) ?? Buffer.alloc(0);
  }

  private fill(offset: number, length: number): boolean {
    const want = Math.min(Math.max(length, WINDOW_BYTES), this.size - offset);
    if (this.buffer.length < want) this.buffer = Buffer.allocUnsafe(want);
    this.start = offset;
    this.filled = 0;
    while (this.filled < want) {
      const into = this.buffer.subarray(this.filled, want);
      const read = this.disk.read(this.fd, into, offset + this.filled);
      if (read <= 0) break;
      this.filled += read;
    }
    return this.filled >= length;
  }
}

/**
 * Walks the records from `from` whose sequences are larger than `last`. Where bytes are no record
 * it looks for the next one that is, so one damaged record costs no other. Ends with a `tail`.
 */
export function* scan(window: Window, from: number, last: number): Generator<Found> {
  let offset = from;
  let newest = last;
  for (;;) {
    const start = nextRecord(window, offset, newest);
    if (start === null) break;
    const missing = start.header.sequence - newest - 1;
    if (start.offset > offset || missing > 0) {
      yield { kind: 'damage', offset, end: start.offset, missing };
    }
    const { length, sequence } = start.header;
    const end = start.offset + RECORD_HEADER + length;
    // Again from the window: the consumer of the damage may have used it in between.
    const payload = window.at(start.offset + RECORD_HEADER, length);
    if (payload === null) break;
    yield { kind: 'record', offset: start.offset, end, sequence, payload };
    offset = end;
    newest = sequence;
  }
  yield { kind: 'tail', offset, end: window.size, zero: zeroFrom(window, offset) };
}

function nextRecord(window: Window, from: number, last: number) {
  for (let offset = from; offset >= 0; offset = findMagic(window, offset + 1)) {
    const header = recordAt(window, offset, last);
    if (header !== null) return { offset, header };
  }
  return null;
}

/** The header of the whole and intact record at `offset`, if there is one newer than `last`. */
function recordAt(window: Window, offset: number, last: number): RecordHeader | null {
  const bytes = window.at(offset, RECORD_HEADER);
  const header = bytes === null ? null : decodeRecordHeader(bytes);
  if (header === null || header.sequence <= last) return null;
  const payload = window.at(offset + RECORD_HEADER, header.length);
  return payload !== null && payloadMatches(header, payload) ? header : null;
}

function findMagic(window: Window, from: number): number {
  let offset = from;
  for (;;) {
    const bytes = window.some(offset);
    if (bytes.length < RECORD_HEADER) return -1;
    const found = bytes.indexOf(RECORD_MAGIC);
    if (found >= 0) return offset + found;
    // Keeps the last 3 bytes: a magic may lie across two windows.
    offset += bytes.length - RECORD_MAGIC.length + 1;
  }
}

function zeroFrom(window: Window, from: number): boolean {
  let offset = from;
  for (;;) {
    const bytes = window.some(offset);
    if (bytes.length === 0) return true;
    if (!isZero(bytes)) return false;
    offset += bytes.length;
  }
}

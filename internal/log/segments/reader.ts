import { basename } from 'node:path';
import { wrap } from '../../fault/fault.js';
import type { DamageReport } from './damage.js';
import type { Disk } from './disk.js';
import { SEGMENT_HEADER } from './format.js';
import type { Segment } from './recover.js';
import { type Found, scan, Window } from './scan.js';

/** Bytes of payload after which a chunk is full; one larger record makes a larger chunk. */
const CHUNK_BYTES = 1024 * 1024;

/** Where a walk over the log stands. */
export interface Cursor {
  /** The position already read. */
  after: number;
  /** The position to end at. */
  upTo: number;
  /** Where the next record is looked for; a hint, void once that segment is gone. */
  segment: number;
  offset: number;
}

/** Some records: payload i is `bytes` from ends[i - 1] (0 for the first) to ends[i]. */
export interface Chunk {
  positions: number[];
  ends: number[];
  bytes: Uint8Array<ArrayBuffer>;
  /** Where to go on, or null at the end. */
  next: Cursor | null;
}

interface Collected {
  positions: number[];
  payloads: Buffer[];
  bytes: number;
}

/**
 * Reads the next records of `segments` after the cursor. It holds one window and one chunk in
 * memory, and the log's thread for about a millisecond, after which waiting appends have their
 * turn.
 */
export function readChunk(
  disk: Disk,
  segments: Segment[],
  cursor: Cursor,
  report: DamageReport,
): Chunk {
  const out: Collected = { positions: [], payloads: [], bytes: 0 };
  let at = cursor;
  for (const [index, segment] of segments.entries()) {
    const following = segments[index + 1];
    const last = following === undefined ? cursor.upTo : following.first - 1;
    if (at.after >= at.upTo || out.bytes >= CHUNK_BYTES) break;
    if (segment.first < at.segment || last <= at.after) continue;
    try {
      at = readSegment({ disk, out, report }, { ...segment, last }, at);
    } catch (error) {
      throw wrap(`cannot read wal segment ${basename(segment.path)}`, error);
    }
  }
  const isFull = out.bytes >= CHUNK_BYTES && at.after < at.upTo;
  return pack(out, isFull ? at : null);
}

interface Reading {
  disk: Disk;
  out: Collected;
  report: DamageReport;
}

function readSegment(reading: Reading, segment: Segment & { last: number }, from: Cursor): Cursor {
  const { disk, out } = reading;
  const resumes = from.segment === segment.first && from.offset > SEGMENT_HEADER;
  const start = resumes ? from.offset : SEGMENT_HEADER;
  const at: Cursor = { ...from, segment: segment.first, offset: start };
  let newest = resumes ? from.after : segment.first - 1;
  const fd = disk.open(segment.path, 'r');
  try {
    for (const found of scan(new Window(disk, fd, segment.end), start, newest)) {
      if (found.kind === 'record') {
        newest = found.sequence;
        if (newest <= at.upTo) take(out, at, found);
      } else {
        tell(reading.report, { segment, fd }, found, segment.last - newest);
      }
      if (newest >= at.upTo || out.bytes >= CHUNK_BYTES) break;
    }
  } finally {
    disk.close(fd);
  }
  return at;
}

function take(out: Collected, at: Cursor, found: Found & { kind: 'record' }): void {
  at.offset = found.end;
  if (found.sequence <= at.after) return;
  at.after = found.sequence;
  out.positions.push(found.sequence);
  out.payloads.push(Buffer.from(found.payload));
  out.bytes += found.payload.length;
}

/** A segment ends with its last record, so here a tail with anything in it is damage as well. */
function tell(
  report: DamageReport,
  file: { segment: Segment; fd: number },
  found: Found & { kind: 'damage' | 'tail' },
  behind: number,
): void {
  const missing = found.kind === 'damage' ? found.missing : behind;
  if (found.kind === 'tail' && found.offset === found.end) return;
  const name = basename(file.segment.path);
  const extent = { segment: name, fd: file.fd, offset: found.offset, end: found.end };
  report.extent('record', extent, missing);
}

function pack(out: Collected, next: Cursor | null): Chunk {
  const bytes = new Uint8Array(new ArrayBuffer(out.bytes));
  const ends: number[] = [];
  let end = 0;
  for (const payload of out.payloads) {
    bytes.set(payload, end);
    end += payload.length;
    ends.push(end);
  }
  return { positions: out.positions, ends, bytes, next };
}

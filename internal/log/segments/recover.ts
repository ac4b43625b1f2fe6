import { dirname, join, resolve } from 'node:path';
import { wrap } from '../../fault/fault.js';
import type { DamageReport } from './damage.js';
import { type Disk, isNoRoom, isZero, writeAll } from './disk.js';
import {
  decodeSegmentHeader,
  FORMAT_VERSION,
  parseSegmentName,
  SEGMENT_HEADER,
  type SegmentHeader,
  segmentName,
} from './format.js';
import { type Identity, readIdentity, streamName, writeIdentity } from './identity.js';
import { type Found, scan, Window } from './scan.js';

/** A segment that is no longer written. Its last position is one less than the next one's first. */
export interface Segment {
  path: string;
  first: number;
  /** Where its records end. */
  end: number;
}

/** What a directory holds, before anything is written to it. */
export interface Recovered {
  identity: Identity;
  /** The position that the next record gets. */
  next: number;
  /** Those with records, oldest first. */
  segments: Segment[];
  /** The newest segment if it has a header and no record: the writer goes on in it. */
  empty: Segment | null;
}

interface Listed extends Segment {
  name: string;
  size: number;
  header: SegmentHeader | null;
  /** Whether the bytes where the header should be are all zeros, or there are none. */
  blank: boolean;
}

interface Walked {
  last: number;
  end: number;
  records: number;
  /** Whether what follows the records may go: zeros, or bytes that are in quarantine. */
  cut: boolean;
}

const COPY_BYTES = 1024 * 1024;

/**
 * Brings the log's directory into a state in which a writer may start a new segment: checks every
 * record, cuts what a crash left after the last one, and tells all damage. A second crash at any
 * point of it costs nothing, as whole records are only ever read.
 *
 * @throws if a file cannot be read or is of a newer format (C7): never takes an error for "empty"
 */
export function recover(
  disk: Disk,
  dir: string,
  options: { newWriter: string; report: DamageReport },
): Recovered {
  makeDirectory(disk, dir);
  const listed = list(disk, dir);
  const identity = identify(disk, dir, listed, options.newWriter);
  const own = listed.filter((segment) => isOwn(segment, identity));
  for (const segment of listed) {
    if (!isOwn(segment, identity)) options.report.file(segment.name, segment.size);
  }
  return walkAll({ disk, dir, report: options.report, identity }, own);
}

function makeDirectory(disk: Disk, dir: string): void {
  const created = disk.mkdir(dir);
  if (created === undefined) return;
  const top = dirname(resolve(created));
  for (let at = resolve(dir); at !== top; ) {
    at = dirname(at);
    disk.syncDir(at);
  }
}

function list(disk: Disk, dir: string): Listed[] {
  const names = disk.list(dir).filter((name) => parseSegmentName(name) !== null);
  return names.sort().map((name) => {
    try {
      return inspect(disk, dir, name);
    } catch (error) {
      throw wrap(`cannot read wal segment ${name}`, error);
    }
  });
}

function inspect(disk: Disk, dir: string, name: string): Listed {
  const path = join(dir, name);
  const fd = disk.open(path, 'r');
  try {
    const size = disk.size(fd);
    const buffer = Buffer.alloc(SEGMENT_HEADER);
    const bytes = buffer.subarray(0, disk.read(fd, buffer, 0));
    const first = parseSegmentName(name) ?? 0;
    const header = decodeSegmentHeader(bytes);
    if (header !== null && header.version > FORMAT_VERSION) {
      throw new Error(`its format is version ${header.version}, known is ${FORMAT_VERSION}`);
    }
    const named = header?.first === first ? header : null;
    return { name, path, first, size, end: size, header: named, blank: isZero(bytes) };
  } finally {
    disk.close(fd);
  }
}

/** The newest segment's word counts most, since it has a CRC and moves with the records. */
function identify(disk: Disk, dir: string, listed: Listed[], newWriter: string): Identity {
  const stored = readIdentity(disk, dir);
  const header = listed.findLast((segment) => segment.header !== null)?.header;
  const identity = header ?? successor(stored, listed.length, newWriter);
  const { writer, epoch } = identity;
  if (stored?.writer !== writer || stored.epoch !== epoch) {
    writeIdentity(disk, dir, { writer, epoch });
  }
  return { writer, epoch };
}

/** Without segments positions start at 1 again, which must not look like those of before. */
function successor(stored: Identity | null, segments: number, newWriter: string): Identity {
  if (stored === null) return { writer: newWriter, epoch: 1 };
  return segments > 0 ? stored : { writer: stored.writer, epoch: stored.epoch + 1 };
}

function isOwn(segment: Listed, identity: Identity): boolean {
  return segment.header === null || streamName(segment.header) === streamName(identity);
}

interface Walk {
  disk: Disk;
  dir: string;
  report: DamageReport;
  identity: Identity;
}

function walkAll(walk: Walk, own: Listed[]): Recovered {
  const result: Recovered = { identity: walk.identity, next: 1, segments: [], empty: null };
  let last = (own[0]?.first ?? 1) - 1;
  for (const [index, segment] of own.entries()) {
    const newest = index === own.length - 1;
    if (segment.first > last + 1) tellMissing(walk, segment, segment.first - last - 1);
    last = Math.max(last, segment.first - 1);
    const walked = walkOne(walk, segment, { last, newest });
    last = walked.last;
    const kept = { path: segment.path, first: segment.first, end: walked.end };
    if (walked.records > 0) result.segments.push(kept);
    else if (newest && segment.header !== null && walked.cut) result.empty = kept;
    else discard(walk, segment, walked.cut);
  }
  result.next = last + 1;
  return result;
}

/** Records between two segments that neither holds. */
function tellMissing(walk: Walk, segment: Listed, records: number): void {
  const extent = { segment: segment.name, fd: -1, offset: 0, end: 0 };
  walk.report.extent('record', extent, records);
}

function walkOne(walk: Walk, segment: Listed, at: { last: number; newest: boolean }): Walked {
  const { disk } = walk;
  const fd = disk.open(segment.path, 'r+');
  try {
    const window = new Window(disk, fd, segment.size);
    const walked: Walked = { last: at.last, end: SEGMENT_HEADER, records: 0, cut: true };
    for (const found of scan(window, SEGMENT_HEADER, at.last)) {
      step(walk, { segment: segment.name, fd }, found, walked);
    }
    if (segment.header === null) tellHeader(walk, segment, { fd, records: walked.records });
    if (at.newest) harden(disk, fd, walked.end);
    if (walked.cut && segment.size > walked.end) disk.truncate(fd, walked.end);
    return walked;
  } catch (error) {
    throw wrap(`cannot recover wal segment ${segment.name}`, error);
  } finally {
    disk.close(fd);
  }
}

function step(
  walk: Walk,
  file: { segment: string; fd: number },
  found: Found,
  walked: Walked,
): void {
  const extent = { ...file, offset: found.offset, end: found.end };
  if (found.kind === 'record') {
    walked.last = found.sequence;
    walked.end = found.end;
    walked.records += 1;
  } else if (found.kind === 'damage') {
    walk.report.extent('record', extent, found.missing);
  } else if (!found.zero) {
    // Without a copy the bytes stay where they are; the next segment starts after them anyway.
    walked.cut = walk.report.extent('torn_tail', extent, 0);
  }
}

/** Zeros and nothing after them are a crash while the segment was created: it held nothing. */
function tellHeader(walk: Walk, segment: Listed, at: { fd: number; records: number }): void {
  if (segment.blank && at.records === 0) return;
  const end = Math.min(SEGMENT_HEADER, segment.size);
  const extent = { segment: segment.name, fd: at.fd, offset: 0, end };
  walk.report.extent('segment_header', extent, 0);
}

/**
 * Makes durable what recovery read and will call durable. Its records may be in the page cache
 * only: after a kill -9 dirty, so fdatasync writes them; after a failed fsync (C5) marked clean
 * although they never reached the disk, so they are written once more, the same bytes to the same
 * place.
 */
function harden(disk: Disk, fd: number, end: number): void {
  const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, end));
  try {
    for (let at = 0; at < end; ) {
      const read = disk.read(fd, buffer.subarray(0, Math.min(buffer.length, end - at)), at);
      if (read <= 0) break;
      writeAll(disk, fd, buffer.subarray(0, read), at);
      at += read;
    }
  } catch (error) {
    // A full copy-on-write file system has no room even for the same bytes.
    if (!isNoRoom(error)) throw error;
  }
  disk.sync(fd);
}

/** Takes a segment without records out of the way of the next one, which may need its name. */
function discard(walk: Walk, segment: Listed, cut: boolean): void {
  if (cut) walk.disk.unlink(segment.path);
  else walk.disk.rename(segment.path, `${segment.path}.damaged`);
}

/** Where the segment that starts at `first` lies. */
export function segmentPath(dir: string, first: number): string {
  return join(dir, segmentName(first));
}

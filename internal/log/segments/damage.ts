import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type Disk, errorCode, writeAll } from './disk.js';

/** Something in the log's directory that is not as it was written (C6). */
export interface Damage {
  /**
   * `record`: bytes between records that are none, or records that are missing ·
   * `segment_header`: the first bytes of a segment; its records are still read ·
   * `foreign_segment`: a segment of another stream, moved away whole ·
   * `torn_tail`: bytes after the last whole record of the newest segment. A crash in the middle of
   * a write leaves them and they were never acknowledged; a damaged last record looks the same.
   */
  kind: 'record' | 'segment_header' | 'foreign_segment' | 'torn_tail';
  /** The segment's file name. */
  segment: string;
  offset: number;
  bytes: number;
  /** Records lost, known from the sequence numbers on both sides; 0 if none is missing. */
  records: number;
  /** Where a copy of the bytes is, below the log's directory; absent if it could not be made. */
  quarantined?: string;
}

/** Bytes [offset, end) of the open segment `fd`. */
export interface Extent {
  segment: string;
  fd: number;
  offset: number;
  end: number;
}

export const QUARANTINE = 'quarantine';
const COPY_BYTES = 1024 * 1024;

/**
 * Copies an extent to `<dir>/quarantine/<segment>.<offset>.<CRC-32>.bin`, whole or not at all; the
 * checksum in the name makes the copies of every start the same one, and never hides other bytes.
 * A disk too full for the copy must not keep the server from starting.
 *
 * @returns the copy's path below `dir`, or undefined if it could not be made
 */
export function quarantine(disk: Disk, dir: string, extent: Extent): string | undefined {
  try {
    let crc = 0;
    for (const part of parts(disk, extent)) crc = crc32(part, crc);
    const hex = crc.toString(16).padStart(8, '0');
    const name = join(QUARANTINE, `${extent.segment}.${extent.offset}.${hex}.bin`);
    disk.mkdir(join(dir, QUARANTINE));
    if (!exists(disk, join(dir, name))) copy(disk, extent, join(dir, name));
    disk.syncDir(join(dir, QUARANTINE));
    disk.syncDir(dir);
    return name;
  } catch {
    return undefined;
  }
}

function copy(disk: Disk, extent: Extent, path: string): void {
  const draft = `${path}.tmp`;
  if (exists(disk, draft)) disk.unlink(draft);
  const to = disk.open(draft, 'wx');
  try {
    let at = 0;
    for (const part of parts(disk, extent)) {
      writeAll(disk, to, part, at);
      at += part.length;
    }
    disk.sync(to);
  } catch (error) {
    disk.unlink(draft);
    throw error;
  } finally {
    disk.close(to);
  }
  disk.rename(draft, path);
}

/** The bytes of an extent through one buffer: each part is valid until the next. */
function* parts(disk: Disk, extent: Extent): Generator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, extent.end - extent.offset));
  for (let at = extent.offset; at < extent.end; ) {
    const want = buffer.subarray(0, Math.min(buffer.length, extent.end - at));
    const read = disk.read(extent.fd, want, at);
    if (read <= 0) return;
    yield want.subarray(0, read);
    at += read;
  }
}

function exists(disk: Disk, path: string): boolean {
  try {
    disk.close(disk.open(path, 'r'));
    return true;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** Tells each piece of damage once a start, however often the log is read. */
export class DamageReport {
  private readonly told = new Set<string>();
  private readonly disk: Disk;
  private readonly dir: string;
  private readonly tell: (damage: Damage) => void;

  constructor(disk: Disk, dir: string, tell: (damage: Damage) => void) {
    this.disk = disk;
    this.dir = dir;
    this.tell = tell;
  }

  /** Puts the extent into quarantine and tells; false if no copy could be made. */
  extent(kind: Damage['kind'], extent: Extent, records: number): boolean {
    const { segment, offset, end } = extent;
    const damage: Damage = { kind, segment, offset, bytes: end - offset, records };
    const key = `${kind}:${segment}:${offset}`;
    if (this.told.has(key)) return true;
    this.told.add(key);
    if (end > offset) damage.quarantined = quarantine(this.disk, this.dir, extent);
    this.tell(damage);
    return end === offset || damage.quarantined !== undefined;
  }

  /** Moves a whole file into quarantine and tells. */
  file(segment: string, bytes: number): void {
    const name = join(QUARANTINE, segment);
    this.disk.mkdir(join(this.dir, QUARANTINE));
    this.disk.rename(join(this.dir, segment), join(this.dir, name));
    this.disk.syncDir(join(this.dir, QUARANTINE));
    this.disk.syncDir(this.dir);
    const damage = { segment, offset: 0, bytes, records: 0, quarantined: name };
    this.tell({ kind: 'foreign_segment', ...damage });
  }
}

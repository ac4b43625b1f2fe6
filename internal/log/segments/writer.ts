import { assert } from '../../base/assert.js';
import { wrap } from '../../fault/fault.js';
import { type Disk, isNoRoom, writeAll, writeZeros } from './disk.js';
import { encodeSegmentHeader, SEGMENT_HEADER, sealGroup } from './format.js';
import type { Identity } from './identity.js';
import { type Recovered, type Segment, segmentPath } from './recover.js';

/** There is no room for the records; nothing of them is kept, and later ones may succeed. */
export class NoRoom extends Error {
  override name = 'NoRoom';
}

/** The log is poisoned (C5): what is on the disk is in doubt until a restart reads it back. */
export class LogFailed extends Error {
  override name = 'LogFailed';
}

export interface WriterOptions {
  dir: string;
  segmentBytes: number;
  /** The file grows by this much at a time, in zeros that are there before records replace them. */
  growBytes: number;
  nowUs: () => number;
}

interface Active extends Segment {
  fd: number;
  /** Bytes of the file: [end, allocated) are zeros. */
  allocated: number;
}

/**
 * Writes groups of records into segments. Synchronous, for the log's own thread.
 *
 * Space: a group is written into zeros that are already there or, where it goes beyond them, is
 * followed by new ones in the same go. So a full disk shows at the write, where it can be taken
 * back, and not at the fsync, where it cannot; and most fsyncs need not move the end of the file,
 * which saves them a third of their time on ext4.
 *
 * Errors: a failed write is taken back by truncating to where the group began. If that fails, or
 * any fsync fails, the writer throws LogFailed for ever and never touches the descriptor again.
 */
export class SegmentWriter {
  readonly identity: Identity;
  private readonly disk: Disk;
  private readonly options: WriterOptions;
  /** Oldest first; the active one is not among them. */
  private closed: Segment[];
  private active: Active | null = null;
  private next: number;
  private dirty = false;
  private failure: LogFailed | null = null;

  constructor(disk: Disk, options: WriterOptions, recovered: Recovered) {
    this.disk = disk;
    this.options = options;
    this.identity = recovered.identity;
    this.closed = [...recovered.segments];
    this.next = recovered.next;
    if (recovered.empty !== null) this.active = this.reopen(recovered.empty);
  }

  /** The position of the newest record written; 0 if there never was one. */
  get last(): number {
    return this.next - 1;
  }

  get bytes(): number {
    const closed = this.closed.reduce((sum, segment) => sum + segment.end, 0);
    return closed + (this.active?.allocated ?? 0);
  }

  /** Oldest first, the one being written included, each up to its last whole record. */
  get segments(): Segment[] {
    return this.active === null ? this.closed : [...this.closed, this.active];
  }

  /**
   * Numbers the staged records in `group` and writes them; durable after the next sync.
   *
   * @returns the position of the first one
   * @throws NoRoom (nothing was kept) or LogFailed
   */
  write(group: Buffer): number {
    this.mustWork();
    const active = this.activeFor(group.length);
    const first = this.next;
    const records = sealGroup(group, first);
    const end = active.end + group.length;
    this.grow(active, end, group);
    active.end = end;
    this.next += records;
    this.dirty = true;
    return first;
  }

  /** One fdatasync for everything written since the last. @throws LogFailed */
  sync(): void {
    this.mustWork();
    if (!this.dirty || this.active === null) return;
    this.syncFile(this.active.fd);
    this.dirty = false;
  }

  /** Whether there is room again: claims the next zeros. @throws NoRoom or LogFailed */
  probe(): void {
    this.mustWork();
    const active = this.activeFor(1);
    const { growBytes, segmentBytes } = this.options;
    const end = Math.min(active.end + growBytes, Math.max(segmentBytes, active.allocated));
    this.grow(active, end, null);
  }

  /** Closes the segment being written if it holds records, so that it can be released. */
  rotate(): void {
    this.mustWork();
    if (this.active === null || this.active.end === SEGMENT_HEADER) return;
    this.sync();
    const old = this.active;
    this.active = this.create(this.next);
    this.closed.push({ path: old.path, first: old.first, end: old.end });
    this.seal(old);
  }

  /**
   * Removes the segments whose records are all at or below `position`. The newest segment stays,
   * as it keeps the position; if it holds only such records, an empty one takes its place.
   * A position beyond the newest record means that the log lost some that the store has: their
   * numbers are taken, so the next record comes after them.
   */
  release(position: number): void {
    this.mustWork();
    this.removeReleased(position);
    if (position < this.last) return;
    try {
      this.startAfter(position);
    } catch (error) {
      // The records are released all the same; their file goes when there is room for a successor.
      if (error instanceof NoRoom) return;
      throw error;
    }
    this.removeReleased(position);
  }

  close(): void {
    if (this.failure === null) this.sync();
    if (this.active !== null) this.disk.close(this.active.fd);
    this.active = null;
  }

  private startAfter(position: number): void {
    const skips = position >= this.next;
    if (skips) this.sync();
    const old = this.active;
    if (skips) this.next = position + 1;
    if (old === null && this.closed.length === 0) return;
    if (old !== null && old.end === SEGMENT_HEADER && !skips) return;
    this.active = this.create(this.next);
    if (old === null) return;
    this.closed.push({ path: old.path, first: old.first, end: old.end });
    this.seal(old);
  }

  private removeReleased(position: number): void {
    const before = this.closed.length;
    for (;;) {
      const [oldest, successor = this.active] = this.closed;
      if (!oldest || !successor || successor.first > position + 1) break;
      this.disk.unlink(oldest.path);
      this.closed = this.closed.slice(1);
    }
    if (this.closed.length === before) return;
    this.orFail(() => this.disk.syncDir(this.options.dir), 'cannot sync the wal directory');
  }

  /** The segment that takes the next `bytes`; a new one if the current one would grow too large. */
  private activeFor(bytes: number): Active {
    const { active } = this;
    if (active === null) {
      this.active = this.create(this.next);
    } else if (active.end + bytes > this.options.segmentBytes) {
      this.rotate();
    }
    assert(this.active !== null, 'a segment is open');
    return this.active;
  }

  /** Writes `group` at the end of the records, and zeros up to the next step if it needs more. */
  private grow(active: Active, end: number, group: Buffer | null): void {
    const from = group === null ? active.allocated : end;
    const to = end > active.allocated ? this.grownTo(end) : active.allocated;
    try {
      if (group !== null) writeAll(this.disk, active.fd, group, active.end);
      if (to > active.allocated) writeZeros(this.disk, active.fd, from, to);
    } catch (error) {
      this.takeBack(active, error);
    }
    active.allocated = to;
  }

  private grownTo(end: number): number {
    const { growBytes, segmentBytes } = this.options;
    return Math.max(end, Math.min(Math.ceil(end / growBytes) * growBytes, segmentBytes));
  }

  /** What is refused must not be there after a crash: nothing behind the last record stays. */
  private takeBack(active: Active, cause: unknown): never {
    try {
      this.disk.truncate(active.fd, active.end);
      active.allocated = active.end;
    } catch (error) {
      throw this.fail(wrap('cannot take back a failed write', error));
    }
    if (isNoRoom(cause)) throw new NoRoom('no room for the write-ahead log', { cause });
    throw this.fail(wrap('cannot write to the log', cause));
  }

  private create(first: number): Active {
    const path = segmentPath(this.options.dir, first);
    let fd: number;
    try {
      fd = this.disk.open(path, 'wx');
    } catch (error) {
      if (isNoRoom(error)) throw new NoRoom('no room for a new log segment', { cause: error });
      throw this.fail(wrap(`cannot create ${path}`, error));
    }
    this.writeHeader(fd, path, first);
    this.syncFile(fd);
    this.orFail(() => this.disk.syncDir(this.options.dir), 'cannot sync the wal directory');
    return { path, first, fd, end: SEGMENT_HEADER, allocated: SEGMENT_HEADER };
  }

  private writeHeader(fd: number, path: string, first: number): void {
    const header = { ...this.identity, first, createdUs: this.options.nowUs() };
    try {
      writeAll(this.disk, fd, encodeSegmentHeader(header), 0);
    } catch (error) {
      this.disk.close(fd);
      this.orFail(() => this.disk.unlink(path), `cannot remove ${path}`);
      if (isNoRoom(error)) throw new NoRoom('no room for a new log segment', { cause: error });
      throw this.fail(wrap(`cannot write ${path}`, error));
    }
  }

  private reopen(empty: Segment): Active {
    const fd = this.disk.open(empty.path, 'r+');
    return { ...empty, fd, allocated: empty.end };
  }

  /** Gives back the zeros behind the last record. */
  private seal(old: Active): void {
    this.orFail(() => this.disk.truncate(old.fd, old.end), `cannot truncate ${old.path}`);
    this.disk.close(old.fd);
  }

  private syncFile(fd: number): void {
    this.orFail(() => this.disk.sync(fd), 'fsync of the log failed');
  }

  private orFail(action: () => void, what: string): void {
    try {
      action();
    } catch (error) {
      throw this.fail(wrap(what, error));
    }
  }

  private fail(cause: Error): LogFailed {
    this.failure ??= new LogFailed(cause.message, { cause });
    return this.failure;
  }

  private mustWork(): void {
    if (this.failure !== null) throw this.failure;
  }
}

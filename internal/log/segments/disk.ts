import fs from 'node:fs';
import os from 'node:os';

/**
 * The few calls that the log makes to the file system, all synchronous: they run in the log's own
 * thread, since libuv's pool of 4 is shared with the queries, and four slow ones would stop every
 * fsync of the server for seconds. Tests put faults in between (faults.ts).
 */
export interface Disk {
  open(path: string, flags: 'r' | 'r+' | 'wx'): number;
  close(fd: number): void;
  /** May read less than asked for; 0 at the end of the file. */
  read(fd: number, into: Buffer, position: number): number;
  /** May write less than asked for: use writeAll. */
  write(fd: number, bytes: Buffer, position: number): number;
  truncate(fd: number, length: number): void;
  /** fdatasync: the data and what is needed to read it back. */
  sync(fd: number): void;
  /** Makes created, renamed and unlinked names of a directory durable. */
  syncDir(path: string): void;
  size(fd: number): number;
  list(path: string): string[];
  unlink(path: string): void;
  rename(from: string, to: string): void;
  /** Creates missing parents too; returns the first one created. */
  mkdir(path: string): string | undefined;
}

export const realDisk: Disk = {
  open: (path, flags) => fs.openSync(path, flags, 0o600),
  close: (fd) => fs.closeSync(fd),
  read: (fd, into, position) => fs.readSync(fd, into, 0, into.length, position),
  write: (fd, bytes, position) => fs.writeSync(fd, bytes, 0, bytes.length, position),
  truncate: (fd, length) => fs.ftruncateSync(fd, length),
  sync: (fd) => fs.fdatasyncSync(fd),
  syncDir,
  size: (fd) => fs.fstatSync(fd).size,
  list: (path) => fs.readdirSync(path),
  unlink: (path) => fs.unlinkSync(path),
  rename: (from, to) => fs.renameSync(from, to),
  mkdir: (path) => fs.mkdirSync(path, { recursive: true, mode: 0o700 }),
};

function syncDir(path: string): void {
  const fd = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

const ZEROS = Buffer.alloc(256 * 1024);

/** Writes all of `bytes`: a write near the end of a disk takes a part and succeeds. */
export function writeAll(disk: Disk, fd: number, bytes: Buffer, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    const written = disk.write(fd, done === 0 ? bytes : bytes.subarray(done), position + done);
    if (written <= 0) throw new Error(`write took none of ${bytes.length - done} bytes`);
    done += written;
  }
}

/** Fills [from, to) with zeros, which claims the blocks: ftruncate alone would make a hole. */
export function writeZeros(disk: Disk, fd: number, from: number, to: number): void {
  for (let at = from; at < to; at += ZEROS.length) {
    writeAll(disk, fd, ZEROS.subarray(0, Math.min(ZEROS.length, to - at)), at);
  }
}

/** Whether [0, length) of `bytes` is all zeros. */
export function isZero(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += ZEROS.length) {
    const part = bytes.subarray(at, at + ZEROS.length);
    if (part.compare(ZEROS, 0, part.length) !== 0) return false;
  }
  return true;
}

const { ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE } = os.constants.errno;
const NO_ROOM = new Set([ENOSPC, EDQUOT, EFBIG, EMFILE, ENFILE].map((errno) => -errno));

/**
 * Whether space or a descriptor was missing: it may come back, and nothing written is in doubt.
 * By number, as libuv has no name for EDQUOT and reports `Unknown system error -122`.
 */
export function isNoRoom(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && NO_ROOM.has(Number(error.errno));
}

/** `ENOSPC` and the like; '' for an error without one. */
export function errorCode(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : '';
  return typeof code === 'string' ? code : '';
}

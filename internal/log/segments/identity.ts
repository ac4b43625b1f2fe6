import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type Disk, errorCode, writeAll } from './disk.js';

/** Who writes a stream, and in which life of its directory. */
export interface Identity {
  /** `w_` and a ULID. */
  writer: string;
  /** 1, 2, 3 …: one more each time the directory had lost all its segments. */
  epoch: number;
}

const FILE = 'stream';

/** The name of a stream: positions of different names do not compare. */
export function streamName(identity: Identity): string {
  return `${identity.writer}.${identity.epoch}`;
}

/** What the file `stream` says; null if it is absent or damaged, as the segments say it too. */
export function readIdentity(disk: Disk, dir: string): Identity | null {
  const text = readSmall(disk, join(dir, FILE));
  const match = /^(w_[0-9A-HJKMNP-TV-Z]{26}) ([1-9]\d{0,8}) ([0-9a-f]{8})\n$/.exec(text ?? '');
  const [, writer, epoch, crc] = match ?? [];
  if (writer === undefined || epoch === undefined) return null;
  return checksum(writer, epoch) === crc ? { writer, epoch: Number(epoch) } : null;
}

/** Writes the file `stream` durably: whole or not at all. */
export function writeIdentity(disk: Disk, dir: string, identity: Identity): void {
  const epoch = String(identity.epoch);
  const text = `${identity.writer} ${epoch} ${checksum(identity.writer, epoch)}\n`;
  const draft = join(dir, `${FILE}.tmp`);
  removeDraft(disk, draft);
  const fd = disk.open(draft, 'wx');
  try {
    writeAll(disk, fd, Buffer.from(text), 0);
    disk.sync(fd);
  } finally {
    disk.close(fd);
  }
  disk.rename(draft, join(dir, FILE));
  disk.syncDir(dir);
}

function checksum(writer: string, epoch: string): string {
  return crc32(`${writer} ${epoch}`).toString(16).padStart(8, '0');
}

function removeDraft(disk: Disk, path: string): void {
  try {
    disk.unlink(path);
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}

function readSmall(disk: Disk, path: string): string | null {
  let fd: number;
  try {
    fd = disk.open(path, 'r');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    const bytes = Buffer.alloc(256);
    return bytes.toString('latin1', 0, disk.read(fd, bytes, 0));
  } finally {
    disk.close(fd);
  }
}

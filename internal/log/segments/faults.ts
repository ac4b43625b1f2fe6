import fs from 'node:fs';
import os from 'node:os';
import type { Disk } from './disk.js';

/**
 * Faults for tests. Most last as long as a file exists, so that a test of the whole server can turn
 * them on and off. Plain data, as it crosses to the log's thread.
 */
export interface FaultPlan {
  /** Every fdatasync fails with EIO while this path exists. */
  syncErrorWhile?: string;
  /** Writes take at most this many bytes at a time. */
  maxWrite?: number;
  /** Writes that grow a file fail with ENOSPC while this path exists … */
  fullWhile?: string;
  /** … once so many bytes have been added since it was first seen (default 0). */
  roomBytes?: number;
  /** Every write fails with EIO while this path exists. */
  writeErrorWhile?: string;
  /** Truncating fails with EIO while this path exists. */
  truncateErrorWhile?: string;
  /** The n-th write stops after `bytes`, and the process is killed as by kill -9. */
  tear?: { write: number; bytes: number };
}

/** `disk` with the faults of `plan` in between. */
export function withFaults(disk: Disk, plan: FaultPlan): Disk {
  let writes = 0;
  let room = plan.roomBytes ?? 0;
  const write = (fd: number, bytes: Buffer, position: number): number => {
    writes += 1;
    if (exists(plan.writeErrorWhile)) throw failure('EIO', 'write');
    if (plan.tear?.write === writes) {
      disk.write(fd, bytes.subarray(0, plan.tear.bytes), position);
      process.kill(process.pid, 'SIGKILL');
    }
    let length = Math.min(bytes.length, plan.maxWrite ?? bytes.length);
    if (exists(plan.fullWhile)) {
      const size = disk.size(fd);
      length = Math.min(length, Math.max(0, size - position) + room);
      if (length <= 0) throw failure('ENOSPC', 'write');
      room -= Math.max(0, position + length - size);
    }
    return disk.write(fd, bytes.subarray(0, length), position);
  };
  const sync = (fd: number): void => {
    if (exists(plan.syncErrorWhile)) throw failure('EIO', 'fdatasync');
    disk.sync(fd);
  };
  const truncate = (fd: number, length: number): void => {
    if (exists(plan.truncateErrorWhile)) throw failure('EIO', 'ftruncate');
    disk.truncate(fd, length);
  };
  return { ...disk, write, sync, truncate };
}

function exists(path: string | undefined): boolean {
  return path !== undefined && fs.existsSync(path);
}

function failure(code: 'EIO' | 'ENOSPC', call: string): Error {
  const errno = -os.constants.errno[code];
  return Object.assign(new Error(`${code}: injected, ${call}`), { code, errno });
}

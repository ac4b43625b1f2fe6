import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import type { ReadFile } from './file.js';
import { readFileIfThere } from './file.js';

/** What the defaults of memory and threads are derived from. */
export interface Machine {
  readonly memoryBytes: number;
  /** The limit of the container or unit; null if there is none. */
  readonly cgroupBytes: number | null;
  readonly cores: number;
}

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** A quarter of the memory that there is, from 128 MiB to 1 GiB: the rest is the server's own. */
export function defaultQueryMemory(machine: Machine): number {
  const quarter = Math.min(machine.memoryBytes, machine.cgroupBytes ?? machine.memoryBytes) / 4;
  return Math.min(GIB, Math.max(128 * MIB, Math.floor(quarter)));
}

/** This machine, now. */
export function readMachine(read: ReadFile = readFileIfThere): Machine {
  return { memoryBytes: totalmem(), cgroupBytes: cgroupLimit(read), cores: availableParallelism() };
}

/**
 * The least memory limit of this process's cgroup and the groups above it, of version 2
 * (memory.max) or version 1 (memory.limit_in_bytes); null if none is set.
 *
 * In a container the path of /proc/self/cgroup may be that of the host, of which only the root is
 * visible: missing files are no limit.
 */
export function cgroupLimit(read: ReadFile): number | null {
  const limits = limitFiles(quietly(read, '/proc/self/cgroup') ?? '')
    .map((path) => parseLimit(quietly(read, path)))
    .filter((limit) => limit !== null);
  return limits.length === 0 ? null : Math.min(...limits);
}

function limitFiles(membership: string): string[] {
  return membership.split('\n').flatMap((line) => {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (path === undefined) return [];
    if (controllers === '') {
      return ancestors(path).map((group) => join('/sys/fs/cgroup', group, 'memory.max'));
    }
    if (!controllers?.split(',').includes('memory')) return [];
    const root = '/sys/fs/cgroup/memory';
    return ancestors(path).map((group) => join(root, group, 'memory.limit_in_bytes'));
  });
}

/** `/a/b` → `/a/b`, `/a`, `/` */
function ancestors(path: string): string[] {
  return path === '/' ? ['/'] : [path, ...ancestors(dirname(path))];
}

/** Version 2 writes "max" for no limit, version 1 a number close to 2^63. */
function parseLimit(text: string | null): number | null {
  const limit = /^\d+$/.test(text?.trim() ?? '') ? Number(text) : Number.NaN;
  return limit > 0 && limit < 2 ** 60 ? limit : null;
}

/** A limit that cannot be read only costs a worse default. */
function quietly(read: ReadFile, path: string): string | null {
  try {
    return read(path);
  } catch {
    return null;
  }
}

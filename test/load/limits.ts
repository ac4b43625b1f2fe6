import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** The limits of a small box around a process: one core, and so much memory. */
export interface Box {
  /** What holds, in words. */
  described: string;
  /** Puts a process that was just started into it, before it starts threads or takes memory. */
  enter(pid: number): void;
  leave(): void;
}

const GROUPS = ['/sys/fs/cgroup/memory', '/sys/fs/cgroup'];

/**
 * Server on core 0, this process on core 1 (with one core: both on it); the memory of the server in
 * a cgroup made for it, if this machine lets us make one.
 */
export function smallBox(memoryBytes: number): Box {
  const cores = availableParallelism();
  if (cores > 1) pin(process.pid, '1');
  const group = makeGroup(memoryBytes);
  const memory = group === null ? 'memory only watched' : `cgroup of ${memoryBytes >> 20} MiB`;
  return {
    described: `server on ${cores > 1 ? 'a core of its own' : 'the only core'}, ${memory}`,
    enter(pid) {
      pin(pid, '0');
      if (group !== null) writeFileSync(join(group, 'cgroup.procs'), String(pid));
    },
    leave() {
      if (group !== null) rmdirSync(group);
    },
  };
}

function pin(pid: number, core: string): void {
  execFileSync('taskset', ['-a', '-p', '-c', core, String(pid)], { stdio: 'ignore' });
}

/** cgroup v1 (memory.limit_in_bytes) or v2 (memory.max). */
function makeGroup(bytes: number): string | null {
  for (const root of GROUPS) {
    const file = root.endsWith('memory') ? 'memory.limit_in_bytes' : 'memory.max';
    const group = join(root, `memtrace-load-${process.pid}`);
    try {
      if (!existsSync(root)) continue;
      mkdirSync(group);
      writeFileSync(join(group, file), String(bytes));
      return group;
    } catch {
      // Read-only, or the controller is elsewhere: the next one, or none.
      if (existsSync(group)) rmdirSync(group);
    }
  }
  return null;
}

/** Resident memory in bytes; 0 once the process is gone. */
export function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

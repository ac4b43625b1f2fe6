import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const SOURCE = new URL('./fault-shim.c', import.meta.url).pathname;

/** A rule of fault-shim.c: part of a path, operation, errno or number. */
export type FaultRule =
  | `${string} ${'fsync' | 'write' | 'grow' | 'truncate' | 'create'} ${
      | 'EIO'
      | 'ENOSPC'
      | 'EDQUOT'
      | 'EROFS'}`
  | `${string} short ${number}`;

/** Disk faults of a child process, switched on and off while it runs. */
export interface FaultShim {
  /** To be added to the environment of the child. */
  env: { LD_PRELOAD: string; FAULT_SHIM: string };
  /** From now on these rules hold, and no others. */
  set(...rules: FaultRule[]): void;
  clear(): void;
}

/**
 * Builds the shim with the C compiler of this machine, once a source; null where there is none or
 * where LD_PRELOAD is not a thing: the test skips itself then, and says so.
 *
 * @param dir where the control file goes
 */
export function openFaultShim(dir: string): FaultShim | null {
  const library = build();
  if (library === null) return null;
  const control = path.join(dir, 'fault-shim.rules');
  return {
    env: { LD_PRELOAD: library, FAULT_SHIM: control },
    set: (...rules) => {
      // Renamed into place: the child never reads half of it.
      fs.writeFileSync(`${control}.tmp`, `${rules.join('\n')}\n`);
      fs.renameSync(`${control}.tmp`, control);
    },
    clear: () => fs.rmSync(control, { force: true }),
  };
}

function build(): string | null {
  if (process.platform !== 'linux') return null;
  const source = fs.readFileSync(SOURCE);
  const hash = createHash('sha256').update(source).digest('hex').slice(0, 16);
  const library = path.join(os.tmpdir(), `memtrace-fault-shim-${hash}.so`);
  if (fs.existsSync(library)) return library;
  const draft = `${library}.${process.pid}`;
  try {
    const flags = ['-shared', '-fPIC', '-O1', '-Wall', '-Werror', '-o', draft, SOURCE, '-ldl'];
    execFileSync('gcc', flags, { stdio: 'pipe' });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  fs.renameSync(draft, library);
  return library;
}

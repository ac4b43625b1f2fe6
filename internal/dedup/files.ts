import * as fs from 'node:fs';
import { dirname } from 'node:path';

/** Synchronous file steps of the worker thread, where blocking harms nobody else. */

/** Writes all of `bytes`; one write call may take less than it was given. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    done += fs.writeSync(fd, bytes, done, bytes.length - done);
  }
}

/** Reads bytes.length bytes from `position`; returns how many there were before the end. */
export function readAll(fd: number, bytes: Uint8Array, position: number): number {
  let done = 0;
  while (done < bytes.length) {
    const got = fs.readSync(fd, bytes, done, bytes.length - done, position + done);
    if (got === 0) break;
    done += got;
  }
  return done;
}

/** Gives a file its final name; both the file and its name are durable after this. */
export function publish(fd: number, from: string, to: string): void {
  fs.fsyncSync(fd);
  fs.renameSync(from, to);
  syncDirectory(dirname(to));
}

export function syncDirectory(directory: string): void {
  const fd = fs.openSync(directory, 'r');
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Removes files; one that is gone already is no error. */
export function removeFiles(files: readonly string[]): void {
  for (const file of files) fs.rmSync(file, { force: true });
}

/** Moves a damaged file out of the way but keeps it for whoever wants to look. */
export function quarantineFile(file: string): void {
  if (!fs.existsSync(file)) return;
  fs.renameSync(file, `${file}.bad`);
  syncDirectory(dirname(file));
}

/** Removes what a crash left: every run of the directory that is neither listed nor quarantined. */
export function sweepDirectory(directory: string, keep: ReadonlySet<string>): string[] {
  fs.mkdirSync(directory, { recursive: true });
  const orphans = fs
    .readdirSync(directory)
    .filter((name) => /\.run(\.tmp)?$/.test(name) && !keep.has(name));
  removeFiles(orphans.map((name) => `${directory}/${name}`));
  return orphans;
}

/** Whether an error means that the medium lost the bytes (as opposed to: try again). */
export function isMediaError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'EIO';
}

import { closeSync, openSync } from 'node:fs';

/**
 * Creates an empty file only its owner can read, unless there is one. SQLite gives -wal and -shm
 * the mode of the main file.
 *
 * An existing file is never opened here: closing any descriptor of a file drops the POSIX locks
 * that SQLite holds on it elsewhere in this process (https://sqlite.org/howtocorrupt.html, 2.2).
 */
export function reserveFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

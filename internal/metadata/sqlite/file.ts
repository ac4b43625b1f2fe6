import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { resolve } from 'node:path';

/** "MTRC" in the header of the file (offset 68): this database is ours. */
export const APPLICATION_ID = 0x4d545243;

/**
 * Creates an empty file only its owner can read, unless there is one. SQLite gives -wal and -shm
 * the mode of the main file. An existing file is not opened, for the reason given at claimFile.
 */
export function reserveFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** By path: how many connections of this process have the file open. */
const claims = new Map<string, number>();

/**
 * Checks that there is no file yet or that it is ours, and marks it as open in this process until
 * the returned function is called. Throws an Error that says what to do; a foreign file is only
 * read, and not through SQLite, which might leave a -wal beside it or roll its journal back.
 *
 * A file that this process has open already is not looked at: closing any descriptor of a file
 * drops the POSIX locks that SQLite holds on it elsewhere in the process
 * (https://sqlite.org/howtocorrupt.html, section 2.2). That is also why this runs on the main
 * thread, which knows of every opening.
 */
export function claimFile(path: string): () => void {
  const place = resolve(path);
  const count = claims.get(place) ?? 0;
  if (count === 0 && existsSync(place)) refuseForeign(place);
  claims.set(place, count + 1);
  return () => {
    const left = (claims.get(place) ?? 1) - 1;
    if (left > 0) claims.set(place, left);
    else claims.delete(place);
  };
}

/** Enough for the header and, nearly always, the names of the tables. */
const LOOK_BYTES = 64 * 1024;
const MAGIC = 'SQLite format 3\0';
const APPLICATION_ID_AT = 68;
const WHAT_TO_DO = 'It was left untouched: point [auth] db_path elsewhere, or move that file away';

function refuseForeign(path: string): void {
  const start = readStart(path);
  if (start.length < 100 || start.toString('latin1', 0, MAGIC.length) !== MAGIC) {
    throw new Error(`it is not a SQLite database. ${WHAT_TO_DO}`);
  }
  const id = start.readUInt32BE(APPLICATION_ID_AT);
  if (id !== APPLICATION_ID) throw new Error(`it is ${describe(start, id)}. ${WHAT_TO_DO}`);
}

function readStart(path: string): Buffer {
  const fd = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(LOOK_BYTES);
    return buffer.subarray(0, readSync(fd, buffer, 0, LOOK_BYTES, 0));
  } finally {
    closeSync(fd);
  }
}

/** The first page holds the schema as SQL text: good enough for a message. */
function describe(start: Buffer, id: number): string {
  const created = start.toString('latin1').matchAll(/CREATE TABLE ["'`[]?(\w+)/g);
  const tables = new Set([...created].map((match) => match[1]));
  if (tables.has('organizations') && tables.has('api_keys')) {
    return (
      'the database of the original memtrace (it has the tables organizations and api_keys), ' +
      'which this memtrace does not read'
    );
  }
  const names = [...tables].slice(0, 5).join(', ') || 'none found';
  return `a SQLite database of another program (application id ${id}, tables: ${names})`;
}

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { wrap } from '../../fault/fault.js';
import { Database, DatabaseError } from './database.js';
import { reserveFile } from './file.js';

/**
 * The lock of a data directory: an exclusive SQLite transaction on lock.db, held and never
 * committed. That is an fcntl lock, which the kernel drops with the process, kill -9 included.
 *
 * Nothing else may open lock.db in this process (not a backup, not a checksum): closing any
 * descriptor of it would drop the lock in silence.
 */
export interface DirLock {
  readonly holder: LockHolder;
  /** Idempotent. */
  release(): Promise<void>;
}

/** Who holds a data directory, for the message that a second process gets. */
export interface LockHolder {
  /** What it does, e.g. `memtrace serve`. */
  what: string;
  pid: number;
  host: string;
  /** RFC 3339. */
  startedAt: string;
}

/** An unreferenced connection would be closed by the garbage collector, and the lock gone. */
const held = new Set<Database>();

/**
 * Takes the lock at once or rejects with an Error that says who holds it; also within one process.
 * `dataDir` exists. Writes lock.db (stays empty) and lock.json (the holder). Blocks for a few
 * milliseconds, once at the start.
 */
export async function acquireDirLock(dataDir: string, holder: LockHolder): Promise<DirLock> {
  const note = join(dataDir, 'lock.json');
  const db = takeLock(dataDir, note);
  held.add(db);
  try {
    writeFileSync(`${note}.tmp`, `${JSON.stringify(holder)}\n`, { mode: 0o600 });
    renameSync(`${note}.tmp`, note);
  } catch (error) {
    drop(db);
    throw wrap(`cannot lock the data directory ${dataDir}`, error);
  }
  return {
    holder,
    release: async () => {
      if (!held.has(db)) return;
      rmSync(note, { force: true });
      drop(db);
    },
  };
}

function takeLock(dataDir: string, note: string): Database {
  let db: Database | null = null;
  try {
    reserveFile(join(dataDir, 'lock.db'));
    db = new Database(join(dataDir, 'lock.db'), { busyTimeoutMs: 0 });
    db.exec('BEGIN EXCLUSIVE');
    return db;
  } catch (error) {
    db?.close();
    const busy = error instanceof DatabaseError && error.busy;
    throw busy ? heldBy(dataDir, note) : wrap(`cannot lock the data directory ${dataDir}`, error);
  }
}

function drop(db: Database): void {
  held.delete(db);
  db.rollback();
  db.close();
}

function heldBy(dataDir: string, note: string): Error {
  return new Error(
    `the data directory ${dataDir} is in use by ${describe(note)}: stop that process first, ` +
      'or set another [storage] data_dir',
  );
}

/** The lock counts, not the note: it may be missing for a moment. */
function describe(note: string): string {
  try {
    const holder: Partial<LockHolder> = JSON.parse(readFileSync(note, 'utf8'));
    const { what, pid, host, startedAt } = holder;
    return `${what} (process ${pid} on ${host}, since ${startedAt})`;
  } catch {
    return 'another process';
  }
}

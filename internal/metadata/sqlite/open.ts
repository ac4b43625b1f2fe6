import { chmodSync, closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { threadId } from 'node:worker_threads';
import { wrap } from '../../fault/fault.js';
import { Database, type DatabaseOptions } from './database.js';
import { APPLICATION_ID, reserveFile } from './file.js';
import { MIGRATIONS, migrate, refuseNewer, schemaVersion } from './migrations.js';
import { applyPragmas } from './pragmas.js';

/** While opening, wait so long for another process that migrates the same file. */
const OPEN_TIMEOUT_MS = 5_000;

/**
 * Opens the metadata database at `path` (checked by claimFile), creating it if it is not there:
 * applies the pragmas and migrates. Throws an Error whose message says what to do.
 */
export function openDatabase(path: string, options: DatabaseOptions): Database {
  const readonly = options.readonly === true;
  let db: Database | null = null;
  try {
    if (!existsSync(path)) {
      if (readonly) throw new Error('there is no such file');
      createFile(path);
    }
    if (!readonly) chmodSync(path, 0o600);
    db = new Database(path, { ...options, busyTimeoutMs: OPEN_TIMEOUT_MS });
    applyPragmas(db, readonly);
    if (readonly) requireCurrent(db);
    else migrate(db);
    setBusyTimeout(db, options.busyTimeoutMs ?? OPEN_TIMEOUT_MS);
    return db;
  } catch (error) {
    db?.close();
    throw wrap(`cannot open the metadata database ${path}`, error);
  }
}

/**
 * Built beside its place and linked there when it is whole and synced: no crash can leave a file
 * half-made, of two processes one wins, and it takes two syncs instead of a dozen.
 */
function createFile(path: string): void {
  const fresh = `${path}.new-${process.pid}-${threadId}`;
  rmSync(fresh, { force: true });
  try {
    reserveFile(fresh);
    buildFile(fresh);
    sync(fresh);
    linkSync(fresh, path);
    sync(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    rmSync(fresh, { force: true });
  }
}

function buildFile(path: string): void {
  const db = new Database(path);
  try {
    db.pragma('journal_mode', 'off');
    db.pragma('synchronous', 0);
    db.pragma('application_id', APPLICATION_ID);
    migrate(db);
    db.pragma('journal_mode', 'wal');
  } finally {
    db.close();
  }
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function setBusyTimeout(db: Database, ms: number): void {
  const actual = db.pragma('busy_timeout', ms);
  if (actual !== ms) throw new Error(`pragma busy_timeout is ${actual} instead of ${ms}`);
}

function requireCurrent(db: Database): void {
  const version = schemaVersion(db);
  refuseNewer(version, MIGRATIONS.length);
  if (version < MIGRATIONS.length) {
    throw new Error(
      `it has schema version ${version} instead of ${MIGRATIONS.length}, and was opened only ` +
        'for reading: start the server once, which migrates it',
    );
  }
}

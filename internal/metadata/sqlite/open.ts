import { chmodSync, statSync } from 'node:fs';
import { wrap } from '../../fault/fault.js';
import { Database, DatabaseError, type DatabaseOptions } from './database.js';
import { MIGRATIONS, migrate, refuseNewer, schemaVersion } from './migrations.js';
import { applyPragmas } from './pragmas.js';

/** "MTRC" in the header of the file (offset 68): this database is ours. */
export const APPLICATION_ID = 0x4d545243;

/** While opening, wait so long for another process that creates or migrates the same file. */
const OPEN_TIMEOUT_MS = 5_000;
const WHAT_TO_DO =
  'It was left untouched. Point [auth] db_path elsewhere, or move the old file away.';

/**
 * Opens the metadata database at `path` (made before by reserveFile): refuses files of others,
 * migrates, applies the pragmas. Throws an Error whose message says what to do.
 */
export function openDatabase(path: string, options: DatabaseOptions): Database {
  const readonly = options.readonly === true;
  let db: Database | null = null;
  try {
    const empty = statSync(path).size === 0;
    if (empty && readonly) throw new Error('it is empty');
    if (!empty) refuseForeign(path);
    if (!readonly) chmodSync(path, 0o600);
    db = new Database(path, { ...options, busyTimeoutMs: OPEN_TIMEOUT_MS });
    if (!readonly) prepareFile(db);
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
 * The id goes in before WAL mode and on its own, so that the main file carries it from its first
 * byte on: a crash right after cannot leave a file that is no longer recognized.
 */
function prepareFile(db: Database): void {
  patiently(() => {
    if (db.pragma('application_id') !== APPLICATION_ID) {
      db.pragma('application_id', APPLICATION_ID);
    }
    db.pragma('journal_mode', 'wal');
  });
}

/** Changing the journal mode does not wait on locks as other statements do: try again. */
function patiently(action: () => void): void {
  const end = performance.now() + OPEN_TIMEOUT_MS;
  for (;;) {
    try {
      action();
      return;
    } catch (error) {
      const again = error instanceof DatabaseError && error.busy && performance.now() < end;
      if (!again) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
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

/** Looks at the file without locks or writes; see Database's `immutable`. */
function refuseForeign(path: string): void {
  let look: Database | null = null;
  try {
    look = new Database(path, { immutable: true });
    const id = look.pragma('application_id');
    if (id === APPLICATION_ID) return;
    throw new Error(`it is ${describe(look, id)}. ${WHAT_TO_DO}`);
  } catch (error) {
    const damaged = ['SQLITE_NOTADB', 'SQLITE_CORRUPT'];
    if (error instanceof DatabaseError && damaged.some((code) => error.code.startsWith(code))) {
      throw new Error(`it is not a SQLite database. ${WHAT_TO_DO}`, { cause: error });
    }
    throw error;
  } finally {
    look?.close();
  }
}

function describe(db: Database, id: unknown): string {
  const rows = db.all<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'");
  const tables = new Set(rows.map((row) => row.name));
  if (tables.has('organizations') && tables.has('api_keys')) {
    return 'the database of the original memtrace (tables organizations, api_keys …), which this memtrace does not read';
  }
  const names = [...tables].slice(0, 5).join(', ') || 'none';
  return `a SQLite database of another program (application_id ${id}, tables: ${names})`;
}

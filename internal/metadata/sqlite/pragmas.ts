import type { Database, Value } from './database.js';

interface Pragma {
  name: string;
  value: Value;
  why: string;
  /** Writes the file, so a read-only connection only checks it. */
  persistent?: true;
}

const MIB = 1024 * 1024;

/** Every pragma of a serving connection. All are read back: SQLite ignores what it cannot do. */
const PRAGMAS: readonly Pragma[] = [
  {
    name: 'journal_mode',
    value: 'wal',
    why: 'readers and the writer do not wait for each other, also across processes',
    persistent: true,
  },
  {
    name: 'synchronous',
    value: 2,
    why:
      'FULL: a commit returns after its fsync. This build defaults to NORMAL in WAL mode, which ' +
      'loses commits on power loss; and frames left unsynced would break the chain behind them',
  },
  { name: 'locking_mode', value: 'normal', why: 'commands open the file beside the server' },
  { name: 'foreign_keys', value: 1, why: 'off by default in SQLite; keys must have their org' },
  { name: 'secure_delete', value: 1, why: 'erased rows are overwritten, not only unlinked' },
  { name: 'temp_store', value: 2, why: 'MEMORY: sorting leaves no tenant data in temporary files' },
  { name: 'cache_size', value: -8192, why: '8 MiB: hot index pages; the kernel caches the rest' },
  {
    name: 'mmap_size',
    value: 0,
    why: 'an I/O error under mmap is a SIGBUS that kills the process',
  },
  {
    name: 'wal_autocheckpoint',
    value: 1000,
    why: '4 MiB: small checkpoints, as each holds the thread; the WAL stays small',
  },
  {
    name: 'journal_size_limit',
    value: 16 * MIB,
    why: 'a WAL that grew under a long reader (a backup) is cut back afterwards',
  },
  {
    name: 'trusted_schema',
    value: 0,
    why: 'a tampered file cannot call functions from its schema',
  },
  { name: 'cell_size_check', value: 1, why: 'finds damaged pages when read instead of crashing' },
];

/** Sets and reads back every pragma; throws an Error that names one that did not take. */
export function applyPragmas(db: Database, readonly: boolean): void {
  for (const { name, value, why, persistent } of PRAGMAS) {
    const actual = persistent && readonly ? db.pragma(name) : db.pragma(name, value);
    if (actual !== value) {
      throw new Error(`pragma ${name} is ${actual} instead of ${value} (${why})`);
    }
  }
}

import { basename } from 'node:path';
import type { DedupRunRow, Partition } from '../metadata/metadata.js';
import { openSqliteMetadata } from '../metadata/sqlite/sqlite.js';
import type { Role } from './manifest.js';

/** The data directory that is backed up, as the open store knows it. */
export interface Source {
  /** Absolute; keys of files are relative to it. */
  dataDir: string;
  /** For the copy of the database, on the same file system. */
  tmpDir: string;
  /** The log stream that is written now. */
  stream: string;
  incarnation: string | null;
  version: string;
  format: number;
  /** Moves what was acknowledged into files. */
  flush(): Promise<void>;
  /** No file that the catalog names from now on is deleted until the answer is called. */
  hold(): () => void;
  /** Copies the database as it is at one moment into a new file. */
  snapshot(path: string): Promise<void>;
}

/** A file that the catalog of a snapshot names. */
export interface Named {
  key: string;
  role: Role;
  bytes: number;
  rows: number;
  mark: string;
  /** Null where the catalog has no checksum over all of the file. */
  sha256: string | null;
}

export interface Snapshot {
  positions: Record<string, number>;
  files: Named[];
}

/** What the catalog in a copy of the database says; the copy stays as it is. */
export async function readSnapshot(path: string): Promise<Snapshot> {
  const metadata = await openSqliteMetadata({ path, readonly: true });
  try {
    const { catalog } = metadata;
    const [partitions, runs, located] = await Promise.all([
      catalog.partitions(),
      catalog.dedupRuns(),
      // Any scope: the positions are those of all streams.
      catalog.locate({ orgId: '' }),
    ]);
    return {
      positions: located.through,
      files: [...partitions.map(ofEvents), ...runs.map(ofKeys)],
    };
  } finally {
    await metadata.close();
  }
}

function ofEvents({ id, key, bytes, rows, checksum }: Partition): Named {
  return { key, role: 'events', bytes, rows, mark: id, sha256: checksum };
}

/** The checksum of a run is over its footer, which says the checksums of its blocks. */
function ofKeys({ path, bytes, keys, checksum }: DedupRunRow): Named {
  const key = `dedup/${basename(path)}`;
  return { key, role: 'dedup', bytes, rows: keys, mark: checksum, sha256: null };
}

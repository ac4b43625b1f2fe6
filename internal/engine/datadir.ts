import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The data directory:
 *   format.json   version of the layout        memtrace.db   metadata and catalog
 *   wal/          the write-ahead log          events/       Parquet files by day
 *   dedup/        runs of deduplication keys   tmp/          work in progress, emptied at start
 *   quarantine/   what was damaged             admin.key     the first admin key
 *   lock.db       held by the running server   control.sock  for commands to it
 *   incarnation   which life of the directory  shipped       how far the log is in the target
 */
export interface DataDir {
  root: string;
  wal: string;
  dedup: string;
  tmp: string;
  quarantine: string;
  adminKey: string;
  controlSocket: string;
}

export const FORMAT_VERSION = 1;

/**
 * Makes the directory if it is absent. Throws if it holds a newer format than this program knows.
 */
export function openDataDir(root: string): DataDir {
  const dir: DataDir = {
    root,
    wal: join(root, 'wal'),
    dedup: join(root, 'dedup'),
    tmp: join(root, 'tmp'),
    quarantine: join(root, 'quarantine'),
    adminKey: join(root, 'admin.key'),
    controlSocket: join(root, 'control.sock'),
  };
  mkdirSync(root, { recursive: true, mode: 0o700 });
  checkFormat(root);
  for (const path of [dir.wal, dir.dedup, dir.tmp, dir.quarantine]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  }
  return dir;
}

function checkFormat(root: string): void {
  const path = join(root, 'format.json');
  if (!existsSync(path)) {
    const temporary = `${path}.tmp`;
    writeFileSync(temporary, `${JSON.stringify({ format: FORMAT_VERSION })}\n`, { flush: true });
    renameSync(temporary, path);
    return;
  }
  const { format } = JSON.parse(readFileSync(path, 'utf8')) as { format: number };
  if (format <= FORMAT_VERSION) return;
  throw new Error(
    `the data directory ${root} has format ${format}, newer than ${FORMAT_VERSION}, the newest ` +
      'that this version of memtrace knows: start a newer version, or restore an older backup',
  );
}

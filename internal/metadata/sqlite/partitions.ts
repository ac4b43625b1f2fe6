import { Fault } from '../../fault/fault.js';
import type { Epoch } from '../epochs.js';
import type {
  DedupRunRow,
  FileCheck,
  FlushCommit,
  Partition,
  QuarantinedPartition,
  RowsGone,
} from '../metadata.js';
import type { Database } from './database.js';
import { read, write } from './operation.js';
import type { Staging } from './staging.js';

export const PARTITION_COLUMNS = `p.id, p.stream, p.from_position AS fromPosition,
  p.to_position AS toPosition, p.key, p.location, p.day, p.rows, p.bytes, p.checksum,
  p.min_time_us AS minTimeUs, p.max_time_us AS maxTimeUs, p.min_expires_us AS minExpiresUs,
  p.level, p.state`;

/** The catalog without its spans: which files count, and how far they cover the log. */
export function partitionOperations(db: Database, staging: Staging) {
  return {
    position: read((stream: string) => position(db, stream) ?? 0),
    beginStream: write((stream: string) => {
      beginEpoch(db, stream);
      return epochs(db);
    }),
    commitFlush: write((flush: FlushCommit) => {
      knowStream(db, flush.stream);
      movePosition(db, flush);
      for (const partition of flush.partitions) addPartition(db, staging, partition);
      if (flush.dedupRun) addDedupRun(db, flush.dedupRun, newestEpoch(db));
    }),
    replace: write(
      (removed: readonly string[], added: readonly Partition[], gone: readonly RowsGone[]) => {
        if (!removed.every((id) => stateOf(db, id) === 'live')) return false;
        for (const id of removed) removePartition(db, id);
        for (const partition of added) addPartition(db, staging, partition);
        for (const rows of gone) noteGone(db, rows);
        return true;
      },
    ),
    garbage: read(() =>
      db.all<{ key: string }>('SELECT key FROM garbage ORDER BY key').map(({ key }) => key),
    ),
    forgetGarbage: write((keys: readonly string[]) => {
      for (const key of keys) db.run('DELETE FROM garbage WHERE key = ?', key);
    }),
    rowsGone: read(() =>
      db.all<RowsGone>('SELECT org_id AS orgId, newest_us AS newestUs FROM rows_gone'),
    ),
    orgsOf: read((id: string) => orgsOf(db, id)),
    partitions: read(() =>
      db.all<Partition>(`SELECT ${PARTITION_COLUMNS} FROM partitions p ORDER BY p.day, p.id`),
    ),
    quarantine: write((id: string, reason: string) => {
      db.run("UPDATE partitions SET state = 'quarantined', reason = ? WHERE id = ?", reason, id);
    }),
    quarantined: read(() => quarantined(db)),
    discard: write((removed: readonly string[], gone: readonly RowsGone[]) => {
      if (!removed.every((id) => stateOf(db, id) === 'quarantined')) return false;
      for (const id of removed) removePartition(db, id);
      for (const rows of gone) noteGone(db, rows);
      return true;
    }),
    checks: read(() =>
      db.all<FileCheck>('SELECT id, checked_us AS checkedUs FROM partitions WHERE checked_us > 0'),
    ),
    noteCheck: write(({ id, checkedUs }: FileCheck) => {
      db.run('UPDATE partitions SET checked_us = ? WHERE id = ?', checkedUs, id);
    }),
    dedupRuns: read(() =>
      db.all<DedupRunRow>(
        `SELECT path, keys, bytes, checksum, newest_us AS newestUs, through
           FROM dedup_runs ORDER BY epoch, through, path`,
      ),
    ),
    replaceDedupRuns: write((removed: readonly string[], added: readonly DedupRunRow[]) => {
      let newest = 0;
      for (const path of removed) {
        const sql = 'DELETE FROM dedup_runs WHERE path = ? RETURNING epoch';
        newest = Math.max(newest, db.get<{ epoch: number }>(sql, path)?.epoch ?? 0);
      }
      for (const run of added) addDedupRun(db, run, newest);
    }),
  };
}

function quarantined(db: Database): QuarantinedPartition[] {
  return db.all<QuarantinedPartition>(
    `SELECT ${PARTITION_COLUMNS}, p.reason FROM partitions p
       WHERE p.state = 'quarantined' ORDER BY p.day, p.id`,
  );
}

function position(db: Database, stream: string): number | undefined {
  const sql = 'SELECT position FROM positions WHERE stream = ?';
  return db.get<{ position: number }>(sql, stream)?.position;
}

/** Oldest first. */
export function epochs(db: Database): Epoch[] {
  return db.all<Epoch>('SELECT stream, begins_after AS after FROM epochs ORDER BY seq');
}

function newestEpoch(db: Database): number {
  return db.get<{ seq: number | null }>('SELECT max(seq) AS seq FROM epochs')?.seq ?? 0;
}

function beginEpoch(db: Database, stream: string): void {
  const last = epochs(db).at(-1);
  if (last?.stream === stream) return;
  // A server that starts again before its first event has a new stream each time.
  if (last && leftNothing(db, last.stream)) {
    db.run('DELETE FROM epochs WHERE seq = (SELECT max(seq) FROM epochs)');
  }
  addEpoch(db, stream);
}

function leftNothing(db: Database, stream: string): boolean {
  if (position(db, stream) !== undefined) return false;
  return db.get('SELECT 1 FROM deletions WHERE stream = ? LIMIT 1', stream) === undefined;
}

function addEpoch(db: Database, stream: string): void {
  const sql = 'INSERT INTO epochs (stream, begins_after) VALUES (?, ?)';
  db.run(sql, stream, position(db, stream) ?? 0);
}

/** What comes of a stream that nobody began begins it. */
export function knowStream(db: Database, stream: string): void {
  if (!epochs(db).some((epoch) => epoch.stream === stream)) addEpoch(db, stream);
}

function movePosition(db: Database, { stream, from, to }: FlushCommit): void {
  const actual = position(db, stream);
  if ((actual ?? 0) !== from) {
    const cause = new Error(`flush of ${stream} from ${from}, but the catalog is at ${actual}`);
    throw new Fault('internal', 'the flush does not continue the catalog', { cause });
  }
  db.run(
    `INSERT INTO positions VALUES (?, ?) ON CONFLICT DO UPDATE SET position = excluded.position`,
    stream,
    to,
  );
}

function stateOf(db: Database, id: string): string | undefined {
  return db.get<{ state: string }>('SELECT state FROM partitions WHERE id = ?', id)?.state;
}

function addPartition(db: Database, staging: Staging, partition: Partition): void {
  const seq = staging.take(partition.id);
  db.run(
    `INSERT INTO partitions (seq, id, stream, from_position, to_position, key, location, day, rows,
       bytes, checksum, min_time_us, max_time_us, min_expires_us, level, state)
     VALUES (@seq, @id, @stream, @fromPosition, @toPosition, @key, @location, @day, @rows, @bytes,
       @checksum, @minTimeUs, @maxTimeUs, @minExpiresUs, @level, @state)`,
    { ...partition, seq },
  );
}

/** Its spans stay, unseen, until they are swept, and its file until no read needs it. */
function removePartition(db: Database, id: string): void {
  const sql = 'DELETE FROM partitions WHERE id = ? RETURNING seq, key';
  const gone = db.get<{ seq: number; key: string }>(sql, id);
  if (!gone) return;
  db.run('INSERT INTO dead VALUES (?)', gone.seq);
  db.run('INSERT INTO garbage VALUES (?) ON CONFLICT DO NOTHING', gone.key);
}

function noteGone(db: Database, rows: RowsGone): void {
  db.run(
    `INSERT INTO rows_gone VALUES (@orgId, @newestUs)
     ON CONFLICT DO UPDATE SET newest_us = max(newest_us, excluded.newest_us)`,
    rows,
  );
}

/** A look at one key for each organization, as spans have no index by partition. */
function orgsOf(db: Database, id: string): string[] {
  const rows = db.all<{ orgId: string }>(
    `SELECT o.org_id AS orgId FROM partitions p CROSS JOIN span_orgs o
       WHERE p.id = ? AND EXISTS (SELECT 1 FROM org_spans s
         WHERE s.org_seq = o.seq AND s.day = p.day AND s.partition_seq = p.seq)`,
    id,
  );
  return rows.map(({ orgId }) => orgId);
}

function addDedupRun(db: Database, run: DedupRunRow, epoch: number): void {
  db.run(
    `INSERT INTO dedup_runs (path, keys, bytes, checksum, newest_us, through, epoch)
     VALUES (@path, @keys, @bytes, @checksum, @newestUs, @through, @epoch)`,
    { ...run, epoch },
  );
}

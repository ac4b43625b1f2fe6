import type { Deletion } from '../metadata.js';
import type { Database } from './database.js';
import { read, write } from './operation.js';
import { knowStream } from './partitions.js';

const COLUMNS = `id, org_id AS orgId, filter, stream, position, requested_us AS requestedUs,
  deadline_us AS deadlineUs, state, done_us AS doneUs`;

type DeletionRow = Omit<Deletion, 'filter'> & { filter: string };

export function deletionOperations(db: Database) {
  return {
    put: write((deletions: readonly Deletion[]) => {
      for (const deletion of deletions) insert(db, deletion);
    }),
    find: read((orgId: string, id: string) => {
      const sql = `SELECT ${COLUMNS} FROM deletions WHERE id = ? AND org_id = ?`;
      const row = db.get<DeletionRow>(sql, id, orgId);
      return row ? toDeletion(row) : null;
    }),
    active: read(() =>
      db
        .all<DeletionRow>(`SELECT ${COLUMNS} FROM deletions WHERE state <> 'done' ORDER BY id`)
        .map(toDeletion),
    ),
    all: read(() =>
      db.all<DeletionRow>(`SELECT ${COLUMNS} FROM deletions ORDER BY id`).map(toDeletion),
    ),
    ofOrg: read((orgId: string, sinceUs: number) => {
      const sql = `SELECT ${COLUMNS} FROM deletions WHERE org_id = ? AND requested_us >= ?`;
      return db.all<DeletionRow>(sql, orgId, sinceUs).map(toDeletion);
    }),
    setState: write((id: string, state: Deletion['state'], doneUs: number | null) => {
      db.run('UPDATE deletions SET state = ?, done_us = ? WHERE id = ?', state, doneUs, id);
    }),
  };
}

function toDeletion(row: DeletionRow): Deletion {
  return { ...row, filter: JSON.parse(row.filter) };
}

/** A replay of the log brings deletions again: their state must not fall back. */
function insert(db: Database, deletion: Deletion): void {
  knowStream(db, deletion.stream);
  db.run(
    `INSERT INTO deletions (id, org_id, filter, stream, position, requested_us, deadline_us, state,
       done_us)
     VALUES (@id, @orgId, @filter, @stream, @position, @requestedUs, @deadlineUs, @state, @doneUs)
     ON CONFLICT (id) DO NOTHING`,
    { ...deletion, filter: JSON.stringify(deletion.filter) },
  );
}

import type {
  Change,
  ChangeKind,
  ControlRow,
  FailedChange,
  Gone,
  TakenChanges,
} from '../changes.js';
import type { Database } from './database.js';
import { read, write } from './operation.js';

/** Beyond so many changed rows all are forgotten: a target out of reach must not fill the disk. */
const MAX_CHANGES = 100_000;

/** In the order in which their rows may refer to each other. */
const KINDS: readonly ChangeKind[] = ['orgs', 'keys', 'agents', 'sessions'];

interface ChangeRow {
  seq: number;
  kind: ChangeKind;
  orgId: string;
  id: string;
  atUs: number;
}

export function changeOperations(db: Database, maxChanges = MAX_CHANGES) {
  return {
    track: write((active: boolean) => track(db, active)),
    trim: write(() => trim(db, maxChanges)),
    take: read((limit: number) => take(db, limit)),
    sent: write((through: number) => {
      db.run('DELETE FROM changes WHERE seq <= ?', through);
      db.run('UPDATE change_tracking SET sent = max(sent, ?)', through);
    }),
    sequence: read(() => sequence(db)),
    apply: write((changes: readonly Change[]) => apply(db, changes)),
    gone: read(() =>
      db.all<Gone>(
        `SELECT 'key' AS kind, id, revoked_us AS atUs FROM keys WHERE revoked_us IS NOT NULL
         UNION ALL
         SELECT 'org', id, deleted_us FROM orgs WHERE deleted_us IS NOT NULL`,
      ),
    ),
    remove: write((gone: readonly Gone[]) => {
      for (const one of gone) remove(db, one);
    }),
  };
}

/** The number of the newest change there ever was. */
function sequence(db: Database): number {
  const sql = "SELECT seq FROM sqlite_sequence WHERE name = 'changes'";
  return db.get<{ seq: number }>(sql)?.seq ?? 0;
}

function track(db: Database, active: boolean): void {
  const sql = 'UPDATE change_tracking SET active = ? WHERE active <> ?';
  const flag = active ? 1 : 0;
  // What changed while nobody looked is in no list: a later backup has it.
  if (db.run(sql, flag, flag) > 0) forget(db);
}

/** Leaves a gap in the numbers, from which a restore tells that changes are missing. */
function forget(db: Database): void {
  db.run('DELETE FROM changes');
  db.run("INSERT INTO changes (kind, org_id, id, at_us) VALUES ('', '', '', 0)");
  db.run('DELETE FROM changes');
  db.run('UPDATE change_tracking SET sent = ?', sequence(db));
}

function trim(db: Database, maxChanges: number): boolean {
  const count = db.get<{ n: number }>('SELECT count(*) AS n FROM changes')?.n ?? 0;
  if (count > maxChanges) forget(db);
  return count > maxChanges;
}

function take(db: Database, limit: number): TakenChanges {
  const after = db.get<{ sent: number }>('SELECT sent FROM change_tracking')?.sent ?? 0;
  const rows = db.all<ChangeRow>(
    `SELECT seq, kind, org_id AS orgId, id, at_us AS atUs FROM changes ORDER BY seq LIMIT ?`,
    limit,
  );
  const changes = rows.map(({ seq: _, ...change }) => ({ ...change, row: rowOf(db, change) }));
  return { after, through: rows.at(-1)?.seq ?? after, changes };
}

interface Named {
  kind: ChangeKind;
  orgId: string;
  id: string;
}

/** The key of a row of that kind, and its values. */
function whereOf({ kind, orgId, id }: Named): { where: string; values: string[] } {
  if (!KINDS.includes(kind)) throw new Error(`not a control table: ${kind}`);
  if (kind === 'orgs') return { where: 'id = ?', values: [id] };
  return { where: 'org_id = ? AND id = ?', values: [orgId, id] };
}

function rowOf(db: Database, change: Named): ControlRow | null {
  const { where, values } = whereOf(change);
  return db.get<ControlRow>(`SELECT * FROM ${change.kind} WHERE ${where}`, ...values) ?? null;
}

function apply(db: Database, changes: readonly Change[]): FailedChange[] {
  const failures: FailedChange[] = [];
  for (const change of inOrder(changes)) {
    try {
      db.savepoint(() => applyOne(db, change));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      failures.push({ change, why });
    }
  }
  return failures;
}

/** What leaves makes room (names, digests) for what comes; organizations before what is theirs. */
function inOrder(changes: readonly Change[]): Change[] {
  const rank = ({ kind, row }: Change) => {
    const leaves = row === null || (row.deleted_us ?? null) !== null || row.bootstrap === 0;
    return (leaves ? 0 : 1) + 2 * KINDS.indexOf(kind);
  };
  return changes
    .map((change, i) => ({ change, i }))
    .sort((a, b) => rank(a.change) - rank(b.change) || a.i - b.i)
    .map(({ change }) => change);
}

function applyOne(db: Database, change: Change): void {
  const { kind, row } = change;
  const { where, values } = whereOf(change);
  if (row === null) {
    db.run(`DELETE FROM ${kind} WHERE ${where}`, ...values);
    return;
  }
  const known = columnsOf(db, kind);
  const columns = Object.keys(row).filter((column) => known.has(column));
  const set = columns.map((column) => `${column} = excluded.${column}`).join(', ');
  const key = kind === 'orgs' || kind === 'keys' ? 'id' : 'org_id, id';
  db.run(
    `INSERT INTO ${kind} (${columns.join(', ')})
       VALUES (${columns.map((column) => `@${column}`).join(', ')})
       ON CONFLICT (${key}) DO UPDATE SET ${set}`,
    row,
  );
}

/** Names of columns become SQL: only those that the table has. */
function columnsOf(db: Database, kind: ChangeKind): Set<string> {
  const rows = db.all<{ name: string }>('SELECT name FROM pragma_table_info(?)', kind);
  return new Set(rows.map(({ name }) => name));
}

/** For ever: a time that is there already stays. */
function remove(db: Database, { kind, id, atUs }: Gone): void {
  if (kind === 'key') {
    db.run('UPDATE keys SET revoked_us = coalesce(revoked_us, ?) WHERE id = ?', atUs, id);
    return;
  }
  db.run(
    'UPDATE orgs SET deleted_us = ?, purged = 0 WHERE id = ? AND deleted_us IS NULL',
    atUs,
    id,
  );
  db.run('UPDATE keys SET revoked_us = coalesce(revoked_us, ?) WHERE org_id = ?', atUs, id);
}

import { Fault } from '../../fault/fault.js';
import type { Org } from '../metadata.js';
import type { Database } from './database.js';
import { read, write } from './operation.js';

const COLUMNS = 'id, name, created_us AS createdUs, retention_days AS retentionDays';
/** Rows removed per transaction, so that other calls are served in between. */
const PURGE_ROWS = 500;
const TO_PURGE = ['sessions', 'agents', 'answers'] as const;

export function orgOperations(db: Database) {
  return {
    create: write((org: Org) => createOrg(db, org)),
    find: read((idOrName: string) => findOrg(db, idOrName)),
    list: read(() =>
      db.all<Org>(`SELECT ${COLUMNS} FROM orgs WHERE deleted_us IS NULL ORDER BY created_us, id`),
    ),
    setRetention: write((id: string, days: number | null) => {
      requireOrg(db, id);
      db.run('UPDATE orgs SET retention_days = ? WHERE id = ?', days, id);
    }),
    /** The first step of a deletion: from here on nobody finds it. False if there is none. */
    bury: write((id: string, nowUs: number) => bury(db, id, nowUs)),
    /** A further step; true if there may be more to do. */
    purge: write((id: string) => purge(db, id)),
    /** Deleted organizations that still have rows: a crash came between. */
    unpurged: read(() =>
      db
        .all<{ id: string }>('SELECT id FROM orgs WHERE deleted_us IS NOT NULL AND purged = 0')
        .map((row) => row.id),
    ),
  };
}

/** Rejects with `not_found` unless the organization exists and is not deleted. */
export function requireOrg(db: Database, id: string): void {
  const found = db.get('SELECT 1 FROM orgs WHERE id = ? AND deleted_us IS NULL', id);
  if (!found) throw new Fault('not_found', 'organization not found');
}

export function findOrg(db: Database, idOrName: string): Org | null {
  const byId = `SELECT ${COLUMNS} FROM orgs WHERE id = ? AND deleted_us IS NULL`;
  return db.get<Org>(byId, idOrName) ?? findOrgByName(db, idOrName);
}

export function findOrgByName(db: Database, name: string): Org | null {
  const byName = `SELECT ${COLUMNS} FROM orgs WHERE name = ? AND deleted_us IS NULL`;
  return db.get<Org>(byName, name) ?? null;
}

export function createOrg(db: Database, org: Org): void {
  if (findOrgByName(db, org.name)) {
    throw new Fault('name_taken', 'an organization of this name exists already', { field: 'name' });
  }
  db.run(
    `INSERT INTO orgs (id, name, created_us, retention_days)
     VALUES (@id, @name, @createdUs, @retentionDays)`,
    org,
  );
}

function bury(db: Database, id: string, nowUs: number): boolean {
  const sql = 'UPDATE orgs SET deleted_us = ? WHERE id = ? AND deleted_us IS NULL';
  if (db.run(sql, nowUs, id) === 0) return false;
  db.run('UPDATE keys SET revoked_us = ? WHERE org_id = ? AND revoked_us IS NULL', nowUs, id);
  return true;
}

function purge(db: Database, id: string): boolean {
  for (const table of TO_PURGE) {
    if (purgeTable(db, table, id) > 0) return true;
  }
  db.run('UPDATE orgs SET purged = 1 WHERE id = ? AND deleted_us IS NOT NULL', id);
  return false;
}

function purgeTable(db: Database, table: (typeof TO_PURGE)[number], id: string): number {
  const key = table === 'answers' ? '(route, key)' : 'id';
  const columns = table === 'answers' ? 'route, key' : 'id';
  return db.run(
    `DELETE FROM ${table} WHERE org_id = ?
       AND ${key} IN (SELECT ${columns} FROM ${table} WHERE org_id = ? LIMIT ${PURGE_ROWS})`,
    id,
    id,
  );
}

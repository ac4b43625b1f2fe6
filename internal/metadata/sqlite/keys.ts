import { Fault } from '../../fault/fault.js';
import type { Key, Org, Permission } from '../metadata.js';
import type { Database } from './database.js';
import { read, write } from './operation.js';
import { createOrg, findOrg, findOrgByName, requireOrg } from './orgs.js';

const COLUMNS = `id, org_id AS orgId, name, prefix, permissions, created_us AS createdUs,
  expires_us AS expiresUs, revoked_us AS revokedUs, last_used_us AS lastUsedUs`;

type KeyRow = Omit<Key, 'permissions'> & { permissions: string };

export function keyOperations(db: Database) {
  return {
    create: write((key: Key, digest: string) => {
      requireOrg(db, key.orgId);
      insertKey(db, key, digest, false);
    }),
    findByDigest: read((digest: string) => findByDigest(db, digest)),
    list: read((orgId: string) =>
      db
        .all<KeyRow>(
          `SELECT ${COLUMNS} FROM keys WHERE org_id = ? ORDER BY created_us DESC, id DESC`,
          orgId,
        )
        .map(toKey),
    ),
    revoke: write((orgId: string, id: string, nowUs: number) => revoke(db, orgId, id, nowUs)),
    touch: write((uses: readonly { id: string; usedUs: number }[]) => {
      for (const { id, usedUs } of uses) touchKey(db, id, usedUs);
    }),
    bootstrap: write((org: Org, key: Key, digest: string) => bootstrap(db, org, key, digest)),
  };
}

function toKey(row: KeyRow): Key {
  return { ...row, permissions: row.permissions.split(',').filter(Boolean) as Permission[] };
}

function insertKey(db: Database, key: Key, digest: string, bootstrap: boolean): void {
  db.run(
    `INSERT INTO keys (id, org_id, name, prefix, permissions, digest, created_us, expires_us,
       revoked_us, last_used_us, bootstrap)
     VALUES (@id, @orgId, @name, @prefix, @permissions, @digest, @createdUs, @expiresUs,
       @revokedUs, @lastUsedUs, @bootstrap)`,
    { ...key, permissions: key.permissions.join(','), digest, bootstrap: bootstrap ? 1 : 0 },
  );
}

function findByDigest(db: Database, digest: string): { key: Key; org: Org } | null {
  return db.snapshot(() => {
    const row = db.get<KeyRow>(`SELECT ${COLUMNS} FROM keys WHERE digest = ?`, digest);
    const org = row ? findOrg(db, row.orgId) : null;
    return row && org ? { key: toKey(row), org } : null;
  });
}

/** Never back, and never a write without a change (it would cost a sync). */
function touchKey(db: Database, id: string, usedUs: number): void {
  db.run(
    `UPDATE keys SET last_used_us = @usedUs
       WHERE id = @id AND coalesce(last_used_us, -1) < @usedUs`,
    { id, usedUs },
  );
}

type Revocation = 'revoked' | 'not_found' | 'last_admin';

function revoke(db: Database, orgId: string, id: string, nowUs: number): Revocation {
  const sql = `SELECT ${COLUMNS} FROM keys WHERE id = ? AND org_id = ?`;
  const row = db.get<KeyRow>(sql, id, orgId);
  if (!row) return 'not_found';
  if (row.revokedUs !== null) return 'revoked';
  if (isLiveAdmin(toKey(row), nowUs) && liveAdmins(db, orgId, nowUs) === 1) return 'last_admin';
  db.run('UPDATE keys SET revoked_us = ? WHERE id = ?', nowUs, id);
  return 'revoked';
}

function isLiveAdmin(key: Key, nowUs: number): boolean {
  const expired = key.expiresUs !== null && key.expiresUs <= nowUs;
  return key.permissions.includes('admin') && key.revokedUs === null && !expired;
}

function liveAdmins(db: Database, orgId: string, nowUs: number): number {
  const sql = `SELECT ${COLUMNS} FROM keys WHERE org_id = ? AND revoked_us IS NULL`;
  return db.all<KeyRow>(sql, orgId).filter((row) => isLiveAdmin(toKey(row), nowUs)).length;
}

function bootstrap(
  db: Database,
  org: Org,
  key: Key,
  digest: string,
): 'created' | 'replaced' | 'unchanged' {
  const holder = db.get<{ bootstrap: number; alive: number; orgName: string }>(
    `SELECT k.bootstrap, o.deleted_us IS NULL AS alive, o.name AS orgName
       FROM keys k JOIN orgs o ON o.id = k.org_id WHERE k.digest = ?`,
    digest,
  );
  // Also if it was revoked since: the operator revoked it, and a restart must not undo that.
  if (holder?.bootstrap === 1 && holder.alive === 1) return 'unchanged';
  if (holder?.alive === 1 && holder.orgName !== org.name) {
    throw new Fault('name_taken', 'the bootstrap key is a key of another organization already');
  }
  const replaced = retireBootstrap(db, key.createdUs);
  // A value used before (A, then B, then A again) or in a deleted organization starts anew.
  db.run('DELETE FROM keys WHERE digest = ?', digest);
  const existing = findOrgByName(db, org.name);
  if (!existing) createOrg(db, org);
  insertKey(db, { ...key, orgId: existing?.id ?? org.id }, digest, true);
  return replaced ? 'replaced' : 'created';
}

function retireBootstrap(db: Database, nowUs: number): boolean {
  const retired = db.run(
    'UPDATE keys SET bootstrap = 0, revoked_us = coalesce(revoked_us, ?) WHERE bootstrap = 1',
    nowUs,
  );
  return retired > 0;
}

import type { Answer, PageAfter, Session, SessionStatus } from '../metadata.js';
import { keepAnswer } from './answers.js';
import type { Database } from './database.js';
import { read, write } from './operation.js';
import { requireOrg } from './orgs.js';

/** Before every row of a list that goes newest first. */
export const FIRST_PAGE: PageAfter = { createdUs: Number.MAX_SAFE_INTEGER, id: '' };

const COLUMNS = `id, org_id AS orgId, agent_id AS agentId,
  CASE closed WHEN 0 THEN 'active' ELSE 'closed' END AS status, metadata_json AS metadataJson,
  created_us AS createdUs, updated_us AS updatedUs, closed_us AS closedUs`;

interface SessionFilter {
  agentId?: string;
  status?: SessionStatus;
}

export function sessionOperations(db: Database) {
  return {
    create: write((session: Session, answer?: Answer) => {
      requireOrg(db, session.orgId);
      insertSession(db, session);
      if (answer) keepAnswer(db, answer);
    }),
    find: read((orgId: string, id: string) => {
      const sql = `SELECT ${COLUMNS} FROM sessions WHERE org_id = ? AND id = ?`;
      return db.get<Session>(sql, orgId, id) ?? null;
    }),
    list: read((orgId: string, filter: SessionFilter, limit: number, after?: PageAfter) =>
      list(db, { orgId, ...filter, limit, after: after ?? FIRST_PAGE }),
    ),
    replace: write((session: Session, expectedUpdatedUs: number) =>
      replace(db, session, expectedUpdatedUs),
    ),
    delete: write(
      (orgId: string, id: string) =>
        db.run('DELETE FROM sessions WHERE org_id = ? AND id = ?', orgId, id) > 0,
    ),
    count: read((orgId: string, agentId: string) => {
      const sql = 'SELECT total, active FROM session_counts WHERE org_id = ? AND agent_id = ?';
      return db.get<{ total: number; active: number }>(sql, orgId, agentId) ?? NO_SESSIONS;
    }),
  };
}

const NO_SESSIONS = { total: 0, active: 0 };

function insertSession(db: Database, session: Session): void {
  db.run(
    `INSERT INTO sessions (org_id, id, agent_id, closed, metadata_json, created_us, updated_us,
       closed_us)
     VALUES (@orgId, @id, @agentId, @closed, @metadataJson, @createdUs, @updatedUs, @closedUs)`,
    { ...session, closed: closedOf(session.status) },
  );
}

function closedOf(status: SessionStatus): 0 | 1 {
  return status === 'closed' ? 1 : 0;
}

interface ListQuery extends SessionFilter {
  orgId: string;
  limit: number;
  after: PageAfter;
}

function list(db: Database, query: ListQuery): Session[] {
  const ofAgent = query.agentId === undefined ? '' : 'AND agent_id = @agentId';
  const one = (closed: 0 | 1) =>
    `SELECT ${COLUMNS} FROM sessions WHERE org_id = @orgId ${ofAgent} AND closed = ${closed}
       AND (created_us, id) < (@createdUs, @id) ORDER BY created_us DESC, id DESC LIMIT @limit`;
  const sql =
    query.status === undefined
      ? `SELECT * FROM (${one(0)}) UNION ALL SELECT * FROM (${one(1)})
           ORDER BY createdUs DESC, id DESC LIMIT @limit`
      : one(closedOf(query.status));
  return db.all<Session>(sql, { ...query, ...query.after });
}

/**
 * The clock has milliseconds, so two updates can bear the same time; the stored one always moves
 * on, or the second of two concurrent updates would pass the comparison and undo the first.
 */
function replace(db: Database, session: Session, expectedUpdatedUs: number): boolean {
  const changed = db.run(
    `UPDATE sessions SET closed = @closed, metadata_json = @metadataJson, updated_us = @nextUs,
       closed_us = @closedUs
     WHERE org_id = @orgId AND id = @id AND updated_us = @expectedUpdatedUs`,
    {
      ...session,
      expectedUpdatedUs,
      closed: closedOf(session.status),
      nextUs: Math.max(session.updatedUs, expectedUpdatedUs + 1),
    },
  );
  return changed > 0;
}

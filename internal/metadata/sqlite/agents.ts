import { Fault } from '../../fault/fault.js';
import type { Agent, Answer, PageAfter } from '../metadata.js';
import { keepAnswer } from './answers.js';
import type { Database } from './database.js';
import { read, write } from './operation.js';
import { requireOrg } from './orgs.js';
import { FIRST_PAGE } from './sessions.js';

const COLUMNS = `id, org_id AS orgId, name, description, config_json AS configJson,
  created_us AS createdUs`;

export function agentOperations(db: Database) {
  return {
    create: write((agent: Agent, answer?: Answer) => {
      requireOrg(db, agent.orgId);
      createAgent(db, agent);
      if (answer) keepAnswer(db, answer);
    }),
    find: read((orgId: string, idOrName: string) => find(db, orgId, idOrName)),
    list: read((orgId: string, limit: number, after: PageAfter = FIRST_PAGE) =>
      db.all<Agent>(
        `SELECT ${COLUMNS} FROM agents WHERE org_id = ? AND (created_us, id) < (?, ?)
           ORDER BY created_us DESC, id DESC LIMIT ?`,
        orgId,
        after.createdUs,
        after.id,
        limit,
      ),
    ),
    delete: write(
      (orgId: string, id: string) =>
        db.run('DELETE FROM agents WHERE org_id = ? AND id = ?', orgId, id) > 0,
    ),
  };
}

function find(db: Database, orgId: string, idOrName: string): Agent | null {
  const by = (column: 'id' | 'name') =>
    `SELECT ${COLUMNS} FROM agents WHERE org_id = ? AND ${column} = ?`;
  return (
    db.get<Agent>(by('id'), orgId, idOrName) ?? db.get<Agent>(by('name'), orgId, idOrName) ?? null
  );
}

function createAgent(db: Database, agent: Agent): void {
  const taken = db.get(
    'SELECT 1 FROM agents WHERE org_id = ? AND name = ?',
    agent.orgId,
    agent.name,
  );
  if (taken) {
    throw new Fault('name_taken', 'an agent of this name exists already', { field: 'name' });
  }
  db.run(
    `INSERT INTO agents (org_id, id, name, description, config_json, created_us)
     VALUES (@orgId, @id, @name, @description, @configJson, @createdUs)`,
    agent,
  );
}

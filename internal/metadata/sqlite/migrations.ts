import { wrap } from '../../fault/fault.js';
import type { Database } from './database.js';

interface Tracked {
  table: string;
  /** Its column of the organization. */
  orgId: string;
  /** The columns whose change counts. */
  updates: string;
  deletes: boolean;
}

/** Notes every change of a row. A newer one takes the place, and a number, after the older one. */
function changeTriggers({ table, orgId, updates, deletes }: Tracked): string {
  const events = [`INSERT`, `UPDATE OF ${updates}`, ...(deletes ? ['DELETE'] : [])];
  return events
    .map((event, i) => {
      const row = event === 'DELETE' ? 'old' : 'new';
      // A deleted organization takes its rows with it, wherever it is restored.
      const kept =
        event === 'DELETE'
          ? `AND NOT EXISTS (SELECT 1 FROM orgs WHERE id = old.${orgId} AND deleted_us IS NOT NULL)`
          : '';
      const key = `kind = '${table}' AND org_id = ${row}.${orgId} AND id = ${row}.id`;
      return `CREATE TRIGGER ${table}_tracked_${i} AFTER ${event} ON ${table}
      WHEN (SELECT active FROM change_tracking) ${kept} BEGIN
        DELETE FROM changes WHERE ${key};
        INSERT INTO changes (kind, org_id, id, at_us) VALUES ('${table}', ${row}.${orgId},
          ${row}.id, CAST(unixepoch('subsec') * 1000000 AS INTEGER));
      END;`;
    })
    .join('\n  ');
}

/**
 * The schema as numbered steps: the step at index i leads from version i to i + 1. A step that was
 * ever released never changes; a later one corrects it.
 *
 * Conventions: times are microseconds; rows that a tenant names have the primary key (org, id);
 * 0 and 1 take no bytes in SQLite, so flags and small counts are cheap.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE schema_version (
    version INTEGER PRIMARY KEY, applied_us INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

  -- A deleted organization stays as a tombstone: its id is never given away again.
  CREATE TABLE orgs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, created_us INTEGER NOT NULL, retention_days INTEGER,
    deleted_us INTEGER, purged INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX orgs_by_name ON orgs (name) WHERE deleted_us IS NULL;
  CREATE INDEX orgs_to_purge ON orgs (id) WHERE deleted_us IS NOT NULL AND purged = 0;

  CREATE TABLE keys (
    id TEXT PRIMARY KEY, org_id TEXT NOT NULL REFERENCES orgs (id), name TEXT NOT NULL,
    prefix TEXT NOT NULL, permissions TEXT NOT NULL, digest TEXT NOT NULL UNIQUE,
    created_us INTEGER NOT NULL, expires_us INTEGER, revoked_us INTEGER, last_used_us INTEGER,
    bootstrap INTEGER NOT NULL DEFAULT 0
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX keys_by_org ON keys (org_id, created_us, id);
  CREATE UNIQUE INDEX keys_bootstrap ON keys (bootstrap) WHERE bootstrap = 1;

  CREATE TABLE agents (
    org_id TEXT NOT NULL REFERENCES orgs (id), id TEXT NOT NULL, name TEXT NOT NULL,
    description TEXT NOT NULL, config_json TEXT NOT NULL, created_us INTEGER NOT NULL,
    PRIMARY KEY (org_id, id)
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX agents_by_name ON agents (org_id, name);
  CREATE INDEX agents_by_time ON agents (org_id, created_us, id);

  -- Two indexes serve all four lists: without a status filter both values of closed are merged.
  CREATE TABLE sessions (
    org_id TEXT NOT NULL REFERENCES orgs (id), id TEXT NOT NULL, agent_id TEXT NOT NULL,
    closed INTEGER NOT NULL, metadata_json TEXT NOT NULL, created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL, closed_us INTEGER,
    PRIMARY KEY (org_id, id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX sessions_by_time ON sessions (org_id, closed, created_us, id);
  CREATE INDEX sessions_by_agent ON sessions (org_id, agent_id, closed, created_us, id);

  -- Counting the sessions of an agent must not cost a walk over all of them.
  CREATE TABLE session_counts (
    org_id TEXT NOT NULL, agent_id TEXT NOT NULL, total INTEGER NOT NULL, active INTEGER NOT NULL,
    PRIMARY KEY (org_id, agent_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TRIGGER sessions_created AFTER INSERT ON sessions BEGIN
    INSERT INTO session_counts VALUES (new.org_id, new.agent_id, 1, 1 - new.closed)
      ON CONFLICT DO UPDATE SET total = total + 1, active = active + 1 - new.closed;
  END;
  CREATE TRIGGER sessions_changed AFTER UPDATE OF closed ON sessions
  WHEN old.closed <> new.closed BEGIN
    UPDATE session_counts SET active = active + old.closed - new.closed
      WHERE org_id = new.org_id AND agent_id = new.agent_id;
  END;
  CREATE TRIGGER sessions_deleted AFTER DELETE ON sessions BEGIN
    UPDATE session_counts SET total = total - 1, active = active - 1 + old.closed
      WHERE org_id = old.org_id AND agent_id = old.agent_id;
    DELETE FROM session_counts
      WHERE org_id = old.org_id AND agent_id = old.agent_id AND total = 0;
  END;

  CREATE TABLE answers (
    org_id TEXT NOT NULL, route TEXT NOT NULL, key TEXT NOT NULL, body_hash TEXT NOT NULL,
    created_us INTEGER NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (org_id, route, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX answers_by_time ON answers (created_us);

  CREATE TABLE deletions (
    id TEXT PRIMARY KEY, org_id TEXT NOT NULL, filter TEXT NOT NULL, stream TEXT NOT NULL,
    position INTEGER NOT NULL, requested_us INTEGER NOT NULL, deadline_us INTEGER NOT NULL,
    state TEXT NOT NULL, done_us INTEGER
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX deletions_open ON deletions (id) WHERE state <> 'done';

  CREATE TABLE positions (stream TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;

  CREATE TABLE dedup_runs (
    path TEXT PRIMARY KEY, keys INTEGER NOT NULL, bytes INTEGER NOT NULL, checksum TEXT NOT NULL,
    newest_us INTEGER NOT NULL, through INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- A partition's number is given when its spans are staged and never again (AUTOINCREMENT). It
  -- stands in staged until its commit, in partitions while it counts, and in dead until its spans
  -- are swept: a span counts only if its number is in partitions.
  CREATE TABLE staged (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE
  ) STRICT;
  CREATE TABLE partitions (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, stream TEXT NOT NULL,
    from_position INTEGER NOT NULL, to_position INTEGER NOT NULL, key TEXT NOT NULL,
    location TEXT NOT NULL, day INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
    checksum TEXT NOT NULL, min_time_us INTEGER NOT NULL, max_time_us INTEGER NOT NULL,
    min_expires_us INTEGER, level INTEGER NOT NULL, state TEXT NOT NULL, reason TEXT
  ) STRICT;
  CREATE TABLE dead (seq INTEGER PRIMARY KEY) STRICT;

  -- Spans are the largest tables: numbers for organizations and agents, and no index besides the
  -- primary key, make a span 75 bytes instead of 128 (or 227 with an index by partition).
  CREATE TABLE span_orgs (seq INTEGER PRIMARY KEY, org_id TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE span_agents (
    seq INTEGER PRIMARY KEY, org_seq INTEGER NOT NULL, agent_id TEXT NOT NULL,
    UNIQUE (org_seq, agent_id)
  ) STRICT;
  -- first_us in the key: a span lies within one UTC day, so a window is a range of it.
  CREATE TABLE spans (
    org_seq INTEGER NOT NULL, session_id TEXT NOT NULL, first_us INTEGER NOT NULL,
    partition_seq INTEGER NOT NULL, agent_seq INTEGER NOT NULL, length_us INTEGER NOT NULL,
    rows INTEGER NOT NULL, decisions INTEGER NOT NULL, entities INTEGER NOT NULL,
    sessions INTEGER NOT NULL, errors INTEGER NOT NULL, min_expires_us INTEGER,
    PRIMARY KEY (org_seq, session_id, first_us, partition_seq, agent_seq)
  ) STRICT, WITHOUT ROWID;
  -- Sums of them, so that an agent with 100,000 sessions costs one row a partition.
  CREATE TABLE agent_spans (
    agent_seq INTEGER NOT NULL, day INTEGER NOT NULL, partition_seq INTEGER NOT NULL,
    first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, rows INTEGER NOT NULL,
    decisions INTEGER NOT NULL, entities INTEGER NOT NULL, sessions INTEGER NOT NULL,
    errors INTEGER NOT NULL, min_expires_us INTEGER,
    PRIMARY KEY (agent_seq, day, partition_seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE org_spans (
    org_seq INTEGER NOT NULL, day INTEGER NOT NULL, partition_seq INTEGER NOT NULL,
    first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, rows INTEGER NOT NULL,
    decisions INTEGER NOT NULL, entities INTEGER NOT NULL, sessions INTEGER NOT NULL,
    errors INTEGER NOT NULL, min_expires_us INTEGER,
    PRIMARY KEY (org_seq, day, partition_seq)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- Files that were replaced and are to be deleted once no read needs them: without this list a
  -- crash in between would leave files that nobody can tell from those of a lost catalog.
  CREATE TABLE garbage (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

  -- A key of deduplication whose event may be gone for good is looked up, any other is not.
  CREATE TABLE rows_gone (
    org_id TEXT PRIMARY KEY, newest_us INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  `
  -- What changed in the control tables since it was last sent to the backup target: which rows, not
  -- how. One row a changed row, so that it is bounded by them; kept only while there is a target.
  CREATE TABLE change_tracking (
    one INTEGER PRIMARY KEY CHECK (one = 1), active INTEGER NOT NULL, sent INTEGER NOT NULL
  ) STRICT;
  INSERT INTO change_tracking VALUES (1, 0, 0);
  CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, org_id TEXT NOT NULL,
    id TEXT NOT NULL, at_us INTEGER NOT NULL, UNIQUE (kind, org_id, id)
  ) STRICT;
  ${changeTriggers({
    table: 'orgs',
    orgId: 'id',
    updates: 'name, retention_days, deleted_us',
    deletes: false,
  })}
  ${changeTriggers({
    table: 'keys',
    orgId: 'org_id',
    updates: 'name, permissions, expires_us, revoked_us, bootstrap',
    deletes: true,
  })}
  ${changeTriggers({
    table: 'agents',
    orgId: 'org_id',
    updates: 'name, description, config_json',
    deletes: true,
  })}
  ${changeTriggers({
    table: 'sessions',
    orgId: 'org_id',
    updates: 'closed, metadata_json, updated_us, closed_us',
    deletes: true,
  })}
  `,
  `
  -- In which order streams of the log were written (metadata/epochs.ts). Those of before are put in
  -- the order of their writers' ULIDs and life numbers.
  CREATE TABLE epochs (
    seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, begins_after INTEGER NOT NULL
  ) STRICT;
  INSERT INTO epochs (stream, begins_after)
    SELECT stream, 0 FROM (SELECT stream FROM positions UNION SELECT stream FROM partitions
      UNION SELECT stream FROM deletions)
    ORDER BY substr(stream, 1, 28), CAST(substr(stream, 30) AS INTEGER), stream;
  -- They were done for files of their own stream only.
  UPDATE deletions SET state = 'accepted', done_us = NULL
    WHERE state = 'done' AND (SELECT count(*) FROM epochs) > 1;

  -- The last epoch of a run's keys: through is a position of it.
  ALTER TABLE dedup_runs ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
  `,
  `
  -- When the bytes of a file were last compared with its checksum; 0: not since it was made.
  ALTER TABLE partitions ADD COLUMN checked_us INTEGER NOT NULL DEFAULT 0;
  `,
];

/** 0 for a file without a schema. */
export function schemaVersion(db: Database): number {
  const known = db.get("SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'");
  if (!known) return 0;
  const row = db.get<{ version: number }>('SELECT max(version) AS version FROM schema_version');
  return row?.version ?? 0;
}

/** Throws if the file is newer than this program: it cannot know what the schema means. */
export function refuseNewer(version: number, known: number): void {
  if (version <= known) return;
  throw new Error(
    `it has schema version ${version}, and this memtrace knows versions up to ${known}: ` +
      'run the newer memtrace again, or restore a backup from before the upgrade',
  );
}

/** Brings the schema to the newest version, each step in a transaction of its own. */
export function migrate(db: Database, steps: readonly string[] = MIGRATIONS): void {
  // Without the write lock first: an up-to-date file must open while another process writes.
  while (schemaVersion(db) !== steps.length) migrateOnce(db, steps);
}

function migrateOnce(db: Database, steps: readonly string[]): void {
  db.begin();
  try {
    // Read again under the lock: another process may have been faster.
    const version = schemaVersion(db);
    refuseNewer(version, steps.length);
    const step = steps[version];
    if (step !== undefined) apply(db, step, version + 1);
    db.commit();
  } catch (error) {
    db.rollback();
    throw error;
  }
}

function apply(db: Database, step: string, version: number): void {
  try {
    db.exec(step);
    db.run('INSERT INTO schema_version VALUES (?, unixepoch() * 1000000)', version);
  } catch (error) {
    throw wrap(`migration to schema version ${version} failed, nothing was changed`, error);
  }
}

import type { Database, Value } from './database.js';
import { read, write } from './operation.js';
import type { Staging } from './staging.js';

/** Rows visited and rows deleted per step, so that other calls are served in between. */
const VISITED_ROWS = 5_000;
const DELETED_ROWS = 500;

/**
 * Removing the spans of dead partitions. There is no index by partition (it would nearly double
 * the largest table), so a sweep walks the tables in the order of their keys: about a second for
 * a million spans, in steps of a few milliseconds, and only if a partition died since the last.
 */
export function sweepOperations(db: Database, staging: Staging) {
  return {
    /** The numbers of the partitions whose spans go. */
    begin: write(() => {
      staging.bury();
      return db.all<{ seq: number }>('SELECT seq FROM dead').map((row) => row.seq);
    }),
    step: write((dead: readonly number[], at: SweepPlace) => step(db, dead, at)),
    /** No span of them is left. */
    finish: write((dead: readonly number[]) => {
      for (const seq of dead) db.run('DELETE FROM dead WHERE seq = ?', seq);
    }),
    /** Agents without spans: their names are a tenant's data. Answers where to go on, or null. */
    forgetAgents: write((after: number) => forgetAgents(db, after)),
    /** For tests and measurements. */
    count: read(() => db.get<{ n: number }>('SELECT count(*) AS n FROM spans')?.n ?? 0),
  };
}

const TABLES = [
  { name: 'spans', key: 'org_seq, session_id, first_us, partition_seq, agent_seq', values: 5 },
  { name: 'agent_spans', key: 'agent_seq, day, partition_seq', values: 3 },
  { name: 'org_spans', key: 'org_seq, day, partition_seq', values: 3 },
] as const;

/** Where a walk stands: the index of the table and the last key visited. */
export interface SweepPlace {
  table: number;
  after: Value[] | null;
}

export interface SweepStep {
  /** Null = the walk is over. */
  next: SweepPlace | null;
  /** Spans of (organization, agent, session) that went; sums are not counted. */
  deleted: number;
}

type KeyRow = Record<string, Value> & { partition_seq: number };

function step(db: Database, dead: readonly number[], at: SweepPlace): SweepStep {
  const table = TABLES[at.table];
  if (!table) return { next: null, deleted: 0 };
  const { doomed, last, visited } = visit(db, new Set(dead), at);
  const marks = Array(table.values).fill('?').join(', ');
  const remove = `DELETE FROM ${table.name} WHERE (${table.key}) = (${marks})`;
  for (const key of doomed) db.run(remove, ...key);
  const over = visited < VISITED_ROWS && doomed.length < DELETED_ROWS;
  const next = over ? { table: at.table + 1, after: null } : { table: at.table, after: last };
  return { next, deleted: at.table === 0 ? doomed.length : 0 };
}

/** The keys of dead rows after a place, and how far it looked. */
function visit(db: Database, dead: ReadonlySet<number>, { table, after }: SweepPlace) {
  const { name, key, values } = TABLES[table] ?? TABLES[0];
  const start = after ? `WHERE (${key}) > (${Array(values).fill('?').join(', ')})` : '';
  const sql = `SELECT ${key} FROM ${name} ${start} ORDER BY ${key} LIMIT ${VISITED_ROWS}`;
  const doomed: Value[][] = [];
  let last = after;
  let visited = 0;
  for (const row of db.all<KeyRow>(sql, ...(after ?? []))) {
    last = Object.values(row);
    visited += 1;
    if (dead.has(row.partition_seq) && doomed.push(last) >= DELETED_ROWS) break;
  }
  return { doomed, last, visited };
}

function forgetAgents(db: Database, after: number): number | null {
  const sql = `SELECT seq FROM span_agents WHERE seq > ? ORDER BY seq LIMIT ${DELETED_ROWS}`;
  const seqs = db.all<{ seq: number }>(sql, after);
  for (const { seq } of seqs) {
    db.run(
      `DELETE FROM span_agents WHERE seq = ?
         AND NOT EXISTS (SELECT 1 FROM agent_spans WHERE agent_seq = seq)`,
      seq,
    );
  }
  return seqs.length < DELETED_ROWS ? null : (seqs.at(-1)?.seq ?? null);
}

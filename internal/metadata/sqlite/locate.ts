import { dayOf, US_PER_DAY } from '../../base/clock.js';
import type { Located, LocatedPartition, Scope, SpanSum } from '../metadata.js';
import type { Database } from './database.js';
import { read } from './operation.js';
import { epochs, PARTITION_COLUMNS } from './partitions.js';

/** Which files hold rows of a scope: each query is a range of one primary key. */
export function locateOperations(db: Database) {
  return {
    locate: read((scope: Scope): Located => db.snapshot(() => locate(db, scope))),
  };
}

type LocatedRow = Omit<LocatedPartition, 'sum' | 'agentId'> & { agentId: string | null } & {
  [K in keyof SpanSum as `sum_${K}`]: SpanSum[K];
};

const SESSION_SUMS = `SELECT partition_seq, min(first_us) AS first_us,
    max(first_us + length_us) AS last_us, sum(rows) AS rows, sum(decisions) AS decisions,
    sum(entities) AS entities, sum(sessions) AS sessions, sum(errors) AS errors,
    min(min_expires_us) AS min_expires_us,
    CASE WHEN min(agent_seq) = max(agent_seq) THEN min(agent_seq) END AS only_agent
  FROM spans
  WHERE org_seq = @org AND session_id = @sessionId AND first_us >= @fromUs AND first_us < @toUs`;
const OF_AGENTS = 'agent_seq IN (SELECT value FROM json_each(@agents))';
const AGENT_SUMS = `SELECT partition_seq, min(first_us) AS first_us, max(last_us) AS last_us,
    sum(rows) AS rows, sum(decisions) AS decisions, sum(entities) AS entities,
    sum(sessions) AS sessions, sum(errors) AS errors, min(min_expires_us) AS min_expires_us,
    NULL AS only_agent
  FROM agent_spans WHERE ${OF_AGENTS} AND day >= @fromDay AND day < @toDay`;
const ORG_SUMS = `SELECT *, NULL AS only_agent
  FROM org_spans WHERE org_seq = @org AND day >= @fromDay AND day < @toDay`;

function locate(db: Database, scope: Scope): Located {
  const through = positions(db);
  const org = orgSeq(db, scope.orgId);
  const agents = org === undefined ? [] : agentSeqs(db, org, scope.agentIds);
  const none = org === undefined || agents?.length === 0;
  const rows = none ? [] : db.all<LocatedRow>(locateSql(scope), values(scope, org, agents));
  const all = rows.map(toLocated);
  return {
    through,
    epochs: epochs(db),
    partitions: all.filter((partition) => partition.state === 'live'),
    quarantined: all.filter((partition) => partition.state === 'quarantined'),
  };
}

function positions(db: Database): Record<string, number> {
  const sql = 'SELECT stream, position FROM positions';
  const rows = db.all<{ stream: string; position: number }>(sql);
  return Object.fromEntries(rows.map((row) => [row.stream, row.position]));
}

function orgSeq(db: Database, orgId: string): number | undefined {
  return db.get<{ seq: number }>('SELECT seq FROM span_orgs WHERE org_id = ?', orgId)?.seq;
}

/** Null = every agent. */
function agentSeqs(db: Database, org: number, ids: Scope['agentIds']): number[] | null {
  if (ids === undefined) return null;
  return [...new Set(ids)].flatMap((id) => agentSeq(db, org, id) ?? []);
}

function agentSeq(db: Database, org: number, id: string): number | undefined {
  const sql = 'SELECT seq FROM span_agents WHERE org_seq = ? AND agent_id = ?';
  return db.get<{ seq: number }>(sql, org, id)?.seq;
}

function sumsSql(scope: Scope): string {
  if (scope.sessionId !== undefined) {
    const ofAgents = scope.agentIds === undefined ? '' : `AND ${OF_AGENTS}`;
    return `${SESSION_SUMS} ${ofAgents} GROUP BY partition_seq`;
  }
  return scope.agentIds === undefined ? ORG_SUMS : `${AGENT_SUMS} GROUP BY partition_seq`;
}

/** CROSS JOIN fixes the order: never a walk over all partitions. */
function locateSql(scope: Scope): string {
  return `SELECT ${PARTITION_COLUMNS}, s.first_us AS sum_firstUs, s.last_us AS sum_lastUs,
      s.rows AS sum_rows, s.decisions AS sum_decisions, s.entities AS sum_entities,
      s.sessions AS sum_sessions, s.errors AS sum_errors, s.min_expires_us AS sum_minExpiresUs,
      (SELECT agent_id FROM span_agents WHERE seq = s.only_agent) AS agentId
    FROM (${sumsSql(scope)}) s CROSS JOIN partitions p ON p.seq = s.partition_seq
    WHERE s.last_us >= @sinceUs AND s.first_us < @untilUs
    ORDER BY p.max_time_us DESC, p.id DESC`;
}

function values(scope: Scope, org: number | undefined, agents: number[] | null): object {
  const sinceUs = scope.sinceUs ?? Number.MIN_SAFE_INTEGER;
  const untilUs = scope.untilUs ?? Number.MAX_SAFE_INTEGER;
  // Whole days: a span that lies in the window's day but not in the window still belongs to the
  // sum of a partition whose other spans do.
  const fromDay = dayOf(sinceUs);
  const toDay = dayOf(untilUs - 1) + 1;
  return {
    org,
    agents: JSON.stringify(agents),
    sessionId: scope.sessionId,
    sinceUs,
    untilUs,
    fromDay,
    toDay,
    fromUs: Math.max(fromDay * US_PER_DAY, Number.MIN_SAFE_INTEGER),
    toUs: Math.min(toDay * US_PER_DAY, Number.MAX_SAFE_INTEGER),
  };
}

function toLocated(row: LocatedRow): LocatedPartition {
  const {
    sum_firstUs: firstUs,
    sum_lastUs: lastUs,
    sum_rows: rows,
    sum_decisions: decisions,
    sum_entities: entities,
    sum_sessions: sessions,
    sum_errors: errors,
    sum_minExpiresUs: minExpiresUs,
    agentId,
    ...partition
  } = row;
  const sum = { firstUs, lastUs, rows, decisions, entities, sessions, errors, minExpiresUs };
  return agentId === null ? { ...partition, sum } : { ...partition, sum, agentId };
}

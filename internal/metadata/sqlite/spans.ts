import { assert, known } from '../../base/assert.js';
import { dayOf } from '../../base/clock.js';
import type { Span, SpanSum } from '../metadata.js';
import type { Database } from './database.js';
import { write } from './operation.js';
import type { Staging } from './staging.js';

/**
 * Storing spans. Besides the spans themselves, their sums by agent and by organization are kept.
 * A call may bring only a part of a partition: sums add up, and readers add up spans.
 */
export function spanOperations(db: Database, staging: Staging) {
  return {
    stage: write((partitionId: string, spans: readonly Span[]) => {
      const writer = new SpanWriter(db, staging.number(partitionId));
      for (const span of spans) writer.add(span);
      writer.addSums();
    }),
  };
}

interface DaySum extends SpanSum {
  /** Of the agent or of the organization. */
  seq: number;
  day: number;
}

class SpanWriter {
  private readonly orgs = new Map<string, number>();
  private readonly agents = new Map<string, number>();
  private readonly agentSums = new Map<string, DaySum>();
  private readonly orgSums = new Map<string, DaySum>();
  private readonly db: Database;
  private readonly partition: number;

  constructor(db: Database, partition: number) {
    this.db = db;
    this.partition = partition;
  }

  add(span: Span): void {
    const day = dayOf(span.firstUs);
    assert(dayOf(span.lastUs) === day, 'a span lies within one UTC day');
    const org = this.orgSeq(span.orgId);
    const agent = this.agentSeq(org, span.agentId);
    this.db.run(
      `INSERT INTO spans (org_seq, session_id, first_us, partition_seq, agent_seq, length_us, rows,
         decisions, entities, sessions, errors, min_expires_us)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET length_us = max(length_us, excluded.length_us),
         ${ADD_UP}`,
      org,
      span.sessionId,
      span.firstUs,
      this.partition,
      agent,
      span.lastUs - span.firstUs,
      span.rows,
      span.decisions,
      span.entities,
      span.sessions,
      span.errors,
      span.minExpiresUs,
    );
    addUp(this.agentSums, agent, day, span);
    addUp(this.orgSums, org, day, span);
  }

  /** One row for each agent and organization and day that `add` met. */
  addSums(): void {
    for (const sum of this.agentSums.values()) this.addSum('agent', sum);
    for (const sum of this.orgSums.values()) this.addSum('org', sum);
  }

  private addSum(scope: 'agent' | 'org', sum: DaySum): void {
    this.db.run(
      `INSERT INTO ${scope}_spans (${scope}_seq, day, partition_seq, first_us, last_us, rows,
         decisions, entities, sessions, errors, min_expires_us)
       VALUES (@seq, @day, @partition, @firstUs, @lastUs, @rows, @decisions, @entities, @sessions,
         @errors, @minExpiresUs)
       ON CONFLICT DO UPDATE SET first_us = min(first_us, excluded.first_us),
         last_us = max(last_us, excluded.last_us), ${ADD_UP}`,
      { ...sum, partition: this.partition },
    );
  }

  private orgSeq(id: string): number {
    return cached(this.orgs, id, () => {
      const find = 'SELECT seq FROM span_orgs WHERE org_id = ?';
      const add = 'INSERT INTO span_orgs (org_id) VALUES (?) RETURNING seq';
      return this.db.get<Seq>(find, id) ?? this.db.get<Seq>(add, id);
    });
  }

  private agentSeq(org: number, id: string): number {
    return cached(this.agents, `${org} ${id}`, () => {
      const find = 'SELECT seq FROM span_agents WHERE org_seq = ? AND agent_id = ?';
      const add = 'INSERT INTO span_agents (org_seq, agent_id) VALUES (?, ?) RETURNING seq';
      return this.db.get<Seq>(find, org, id) ?? this.db.get<Seq>(add, org, id);
    });
  }
}

interface Seq {
  seq: number;
}

/** min() of two columns is null if one is: the pair must be made non-null first. */
const ADD_UP = `rows = rows + excluded.rows, decisions = decisions + excluded.decisions,
  entities = entities + excluded.entities, sessions = sessions + excluded.sessions,
  errors = errors + excluded.errors,
  min_expires_us = min(coalesce(min_expires_us, excluded.min_expires_us),
    coalesce(excluded.min_expires_us, min_expires_us))`;

function cached(seqs: Map<string, number>, key: string, fetch: () => Seq | undefined): number {
  const hit = seqs.get(key);
  if (hit !== undefined) return hit;
  const { seq } = known(fetch(), 'number of an organization or agent');
  seqs.set(key, seq);
  return seq;
}

function addUp(sums: Map<string, DaySum>, seq: number, day: number, span: Span): void {
  const key = `${seq} ${day}`;
  const sum = sums.get(key);
  if (!sum) {
    sums.set(key, { ...span, seq, day });
    return;
  }
  sum.firstUs = Math.min(sum.firstUs, span.firstUs);
  sum.lastUs = Math.max(sum.lastUs, span.lastUs);
  sum.rows += span.rows;
  sum.decisions += span.decisions;
  sum.entities += span.entities;
  sum.sessions += span.sessions;
  sum.errors += span.errors;
  sum.minExpiresUs = earliest(sum.minExpiresUs, span.minExpiresUs);
}

function earliest(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}

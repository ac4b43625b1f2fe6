import { createHash } from 'node:crypto';
import type { Memory, NewMemory } from '../../support/memory.js';

/** The filters of lists, searches and deletions, in one shape. */
export interface Filter {
  agent_id?: string;
  session_id?: string;
  memory_types?: string[];
  event_types?: string[];
  tags?: string[];
  parent_id?: string;
  min_importance?: number;
  content_contains?: string;
  /** Absolute times as the server writes them, or `<n>h` back from now. */
  since?: string;
  until?: string;
}

export interface Session {
  id: string;
  org_id: string;
  agent_id: string;
  status: string;
  metadata?: Record<string, unknown>;
  created_at: string;
  updated_at: string;
  closed_at?: string;
}

export interface Agent {
  id: string;
  org_id: string;
  name: string;
  description?: string;
  config?: Record<string, unknown>;
  created_at: string;
  last_active_at?: string;
}

/** A write with an Idempotency-Key and what it was answered. */
export interface Answered {
  key: string;
  body: NewMemory | { memories: NewMemory[] };
  ids: string[];
  duplicates: number;
}

/** What one organization should hold: plain lists, no indexes, no cleverness. */
export class Model {
  readonly memories = new Map<string, Memory>();
  readonly gone: string[] = [];
  readonly sessions = new Map<string, Session>();
  readonly agents = new Map<string, Agent>();
  readonly answered: Answered[] = [];

  /** The id of the live memory that holds this key. */
  holderOf(dedupKey: string): string | undefined {
    for (const memory of this.live()) if (memory.dedup_key === dedupKey) return memory.id;
    return undefined;
  }

  live(): Memory[] {
    const now = new Date().toISOString();
    return [...this.memories.values()].filter((m) => (m.expires_at ?? '9') > now);
  }

  /** Oldest first, in the total order of time and id. */
  select(filter: Filter): Memory[] {
    const rows = this.live().filter((memory) => matches(memory, filter));
    return rows.sort((a, b) => compare(a.time, b.time) || compare(a.id, b.id));
  }

  forget(ids: Iterable<string>): void {
    for (const id of ids) if (this.memories.delete(id)) this.gone.push(id);
  }

  stats(agentId: string): Record<string, unknown> {
    const all = this.select({ agent_id: agentId });
    const day = this.select({ agent_id: agentId, since: '24h' });
    const sessions = [...this.sessions.values()].filter((s) => s.agent_id === agentId);
    const types: Record<string, number> = {};
    for (const memory of all) types[memory.memory_type] = (types[memory.memory_type] ?? 0) + 1;
    return {
      agent_id: agentId,
      memory_count: all.length,
      memories_24h: day.length,
      errors_24h: day.filter((m) => m.event_type === 'error').length,
      session_count: sessions.length,
      active_sessions: sessions.filter((s) => s.status === 'active').length,
      last_active_at: all.at(-1)?.time,
      memory_types: types,
    };
  }

  /** The registration with the last event time of its id or its name. */
  agentAnswer(agent: Agent): Agent {
    const events = [agent.id, agent.name].flatMap((id) => this.select({ agent_id: id }));
    const last = events
      .map((m) => m.time)
      .sort()
      .at(-1);
    return last === undefined ? agent : { ...agent, last_active_at: last };
  }
}

function matches(memory: Memory, f: Filter): boolean {
  return (
    equalOrAbsent(f.agent_id, memory.agent_id) &&
    equalOrAbsent(f.session_id, memory.session_id) &&
    equalOrAbsent(f.parent_id, memory.parent_id) &&
    (f.memory_types === undefined || f.memory_types.includes(memory.memory_type)) &&
    (f.event_types === undefined || f.event_types.includes(memory.event_type)) &&
    (f.tags ?? []).every((tag) => memory.tags?.includes(tag)) &&
    memory.importance >= (f.min_importance ?? 0) &&
    (f.since === undefined || memory.time >= absolute(f.since)) &&
    (f.until === undefined || memory.time < absolute(f.until)) &&
    memory.content.toLowerCase().includes((f.content_contains ?? '').toLowerCase())
  );
}

function equalOrAbsent(wanted: string | undefined, value: string | undefined): boolean {
  return wanted === undefined || wanted === value;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `3h` → the time three hours ago; absolute times as they are. */
export function absolute(time: string): string {
  const hours = /^(\d+)h$/.exec(time)?.[1];
  if (hours === undefined) return time;
  return `${new Date(Date.now() - Number(hours) * 3_600_000).toISOString().slice(0, -1)}000Z`;
}

/** The dedup key that the contract computes when the client sends none. */
export function dedupKeyOf(memory: NewMemory): string {
  if (memory.dedup_key !== undefined) return memory.dedup_key;
  const { agent_id, session_id = '', event_type = 'general', content, time } = memory;
  const parts = [agent_id, session_id, event_type, content];
  if (time !== undefined) parts.push(time);
  return createHash('sha256').update(parts.join('|')).digest('hex').slice(0, 32);
}

/** What a write must answer, apart from what only the server knows (id, times, org). */
export function expectedOf(memory: NewMemory): Record<string, unknown> {
  const { ttl: _ttl, metadata, tags, ...rest } = memory;
  return {
    memory_type: 'episodic',
    event_type: 'general',
    importance: 0,
    ...rest,
    ...(metadata !== undefined && Object.keys(metadata).length > 0 ? { metadata } : {}),
    ...(tags !== undefined && tags.length > 0 ? { tags } : {}),
    dedup_key: dedupKeyOf(memory),
  };
}

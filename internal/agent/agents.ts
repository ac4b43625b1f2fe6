import type { Caller } from '../auth/caller.js';
import { type Clock, US_PER_DAY } from '../base/clock.js';
import type { UlidFactory } from '../base/ulid.js';
import type { AgentInput } from '../event/requests.js';
import { Fault } from '../fault/fault.js';
import type { AnswerKey, Answers } from '../ingest/answers.js';
import type { Agent, Metadata, PageAfter } from '../metadata/metadata.js';
import type { Reader, Recall, Stats } from '../recall/recall.js';
import { bothIncomplete } from '../store/incomplete.js';
import type { Incomplete } from '../store/store.js';

/** The verbs of agents: a registration is optional, memories go by the literal agent_id. */
export interface AgentParts {
  clock: Clock;
  ulids: UlidFactory;
  metadata: Metadata;
  answers: Answers;
  recall: Recall;
}

export interface AgentView extends Agent {
  /** The newest event time of its id or name, if it still has one. */
  lastActiveUs: number | null;
  /** Damaged files that may hold a newer one. */
  incomplete?: Incomplete;
}

export interface AgentStats {
  agentId: string;
  memoryCount: number;
  memories24h: number;
  errors24h: number;
  sessionCount: number;
  activeSessions: number;
  lastActiveUs: number | null;
  memoryTypes: Record<string, number>;
  /** Damaged files that are not counted. */
  incomplete?: Incomplete;
}

interface KeptAgent {
  id: string;
  createdUs: number;
}

export class Agents {
  private readonly parts: AgentParts;

  constructor(parts: AgentParts) {
    this.parts = parts;
  }

  /** Rejects with `name_taken`. */
  async register(caller: Caller, input: AgentInput, key?: AnswerKey): Promise<AgentView> {
    const nowUs = this.parts.clock.nowUs();
    const id = `agent_${this.parts.ulids.next(Math.floor(nowUs / 1000))}`;
    const agent: Agent = { id, orgId: caller.orgId, ...input, createdUs: nowUs };
    const kept: KeptAgent = { id, createdUs: nowUs };
    const { agents } = this.parts.metadata;
    const stored = await this.parts.answers.around(key, kept, nowUs, (answer) =>
      agents.create(agent, answer),
    );
    return { ...agent, ...stored, lastActiveUs: null };
  }

  /** By id, then by name. Rejects with `not_found`. */
  async find(caller: Caller, idOrName: string): Promise<AgentView> {
    const agent = await this.parts.metadata.agents.find(caller.orgId, idOrName);
    if (agent === null) throw new Fault('not_found', 'agent not found');
    return (await this.withActivity(caller, [agent]))[0];
  }

  /** Newest first; one more than `limit` is asked for, to say exactly whether more follow. */
  async list(
    caller: Caller,
    limit: number,
    after?: PageAfter,
  ): Promise<{ agents: AgentView[]; hasMore: boolean }> {
    const found = await this.parts.metadata.agents.list(caller.orgId, limit + 1, after);
    const agents = await this.withActivity(caller, found.slice(0, limit));
    return { agents, hasMore: found.length > limit };
  }

  /** Removes the registration; its memories are another verb's. Rejects with `not_found`. */
  async remove(caller: Caller, idOrName: string): Promise<Agent> {
    const agent = await this.parts.metadata.agents.find(caller.orgId, idOrName);
    if (agent === null || !(await this.parts.metadata.agents.delete(caller.orgId, agent.id))) {
      throw new Fault('not_found', 'agent not found');
    }
    return agent;
  }

  /** Of a literal agent_id, registered or not. A failing store is an error, never zeros. */
  async stats(caller: Caller, agentId: string): Promise<AgentStats> {
    const { recall, metadata, clock } = this.parts;
    const reader = readerOf(caller);
    const sinceUs = clock.nowUs() - US_PER_DAY;
    const agentIds = [agentId];
    const [all, day, sessions] = await Promise.all([
      recall.stats(reader, { agentIds }),
      recall.stats(reader, { agentIds, sinceUs }),
      metadata.sessions.count(caller.orgId, agentId),
    ]);
    return {
      agentId,
      memoryCount: all.count,
      memories24h: day.count,
      errors24h: day.errors,
      sessionCount: sessions.total,
      activeSessions: sessions.active,
      lastActiveUs: all.lastUs,
      memoryTypes: nonZero(all.byType),
      incomplete: bothIncomplete(all.incomplete, day.incomplete),
    };
  }

  private async withActivity(caller: Caller, agents: readonly Agent[]): Promise<AgentView[]> {
    const ids = agents.flatMap(({ id, name }) => [id, name]);
    const last = await this.parts.recall.lastEvents(readerOf(caller), ids);
    return agents.map((agent) => {
      const found = [agent.id, agent.name].flatMap((id) => last.get(id) ?? []);
      const newest = Math.max(...found.map(({ lastUs }) => lastUs ?? Number.NEGATIVE_INFINITY));
      const lastActiveUs = Number.isFinite(newest) ? newest : null;
      const view: AgentView = { ...agent, lastActiveUs };
      for (const { incomplete } of found) {
        view.incomplete = bothIncomplete(view.incomplete, incomplete);
      }
      return view;
    });
  }
}

function readerOf(caller: Caller): Reader {
  return { orgId: caller.orgId, floorUs: caller.floorUs, kind: 'stats' };
}

function nonZero(counts: Stats['byType']): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

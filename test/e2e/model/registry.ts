import { AGENTS, aFilter, describe } from './choose.js';
import { same } from './compare.js';
import type { Agent, Filter, Session } from './model.js';
import { queryOf } from './reads.js';
import { must, mustRefuse, type Org, type World } from './world.js';

export async function deleteOne(world: World, org: Org): Promise<void> {
  const known = org.model.live();
  if (known.length === 0) return;
  const { id } = world.random.pick(known);
  world.note(`${org.name}: delete ${id}`);
  const other = world.otherOrg(org);
  mustRefuse('of another org', await world.api(other).del(`/memories/${id}`), { status: 404 });
  must('a deletion', await world.api(org).del(`/memories/${id}`), 204);
  org.model.forget([id]);
}

export async function deleteSome(world: World, org: Org): Promise<void> {
  const filter = aFilter(world.random, org.model);
  const narrow = Object.keys(filter).length >= 2;
  const query = queryOf(filter);
  world.note(`${org.name}: DELETE /memories?${query}`);
  if (query === '') {
    mustRefuse('a deletion of all', await world.api(org).del('/memories'), { status: 400 });
  } else if (narrow) {
    await erase(world, org, filter, `/memories?${query}`);
  }
}

async function erase(world: World, org: Org, filter: Filter, path: string): Promise<void> {
  const ids = org.model.select(filter).map((memory) => memory.id);
  const answer = await world.api(org).del<{ deleted: number }>(path);
  same(path, must(path, answer, 200).deleted, ids.length);
  org.model.forget(ids);
}

export async function createSession(world: World, org: Org): Promise<void> {
  const body: Record<string, unknown> = { agent_id: world.random.pick(AGENTS) };
  if (world.random.chance(0.5)) body['metadata'] = { goal: 'crawl', n: world.random.int(1, 9) };
  world.note(`${org.name}: POST /sessions ${describe(body)}`);
  const session = must('a session', await world.api(org).post<Session>('/sessions', body), 201);
  const { id, org_id: _org, created_at, updated_at, ...rest } = session;
  same('a session', rest, { ...body, status: 'active' });
  same('its times', [id.startsWith('sess_'), updated_at], [true, created_at]);
  org.model.sessions.set(id, session);
}

export async function changeSession(world: World, org: Org): Promise<void> {
  const session = anyOf(world, org.model.sessions);
  if (session === undefined) return;
  const change: Record<string, unknown> = {};
  if (world.random.chance(0.6)) change['status'] = world.random.pick(['active', 'closed']);
  const patch = world.random.pick([{ goal: null }, { n: 7, more: { x: [1] } }, { more: null }]);
  if (world.random.chance(0.6)) change['metadata'] = patch;
  world.note(`${org.name}: PUT /sessions/${session.id} ${describe(change)}`);
  const path = `/sessions/${session.id}`;
  mustRefuse('of another org', await world.api(world.otherOrg(org)).put(path, change), {
    status: 404,
  });
  const got = must('PUT', await world.api(org).put<Session>(path, change), 200);
  const { closed_at, updated_at: _, metadata, ...rest } = got;
  const status = change['status'] ?? session.status;
  const { closed_at: _c, updated_at: _u, metadata: old, ...before } = session;
  same('a changed session', rest, { ...before, status });
  same('closed_at with its status', closed_at !== undefined, status === 'closed');
  same('merged metadata', metadata ?? {}, merged(old, change['metadata']));
  org.model.sessions.set(session.id, got);
}

function merged(old: Record<string, unknown> | undefined, patch: unknown): Record<string, unknown> {
  const all = { ...old, ...(patch as Record<string, unknown> | undefined) };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== null));
}

export async function readSessions(world: World, org: Org): Promise<void> {
  const agent = world.random.chance(0.5) ? world.random.pick(AGENTS) : undefined;
  const status = world.random.chance(0.3) ? world.random.pick(['active', 'closed']) : undefined;
  const query = new URLSearchParams();
  if (agent !== undefined) query.set('agent_id', agent);
  if (status !== undefined) query.set('status', status);
  world.note(`${org.name}: GET /sessions?${query}`);
  const answer = await world.api(org).get<{ sessions: Session[] }>(`/sessions?${query}&limit=1000`);
  const got = must('sessions', answer, 200).sessions;
  const expected = [...org.model.sessions.values()].filter(
    (s) => (agent ?? s.agent_id) === s.agent_id && (status ?? s.status) === s.status,
  );
  same('the sessions', byId(got), byId(expected));
  same(
    'newest first',
    got.map((s) => s.created_at),
    got
      .map((s) => s.created_at)
      .sort()
      .reverse(),
  );
  const one = anyOf(world, org.model.sessions);
  if (one === undefined) return;
  same('a session', must('get', await world.api(org).get(`/sessions/${one.id}`), 200), one);
}

export async function deleteSession(world: World, org: Org): Promise<void> {
  const session = anyOf(world, org.model.sessions);
  if (session === undefined) return;
  const withMemories = world.random.chance(0.5);
  world.note(`${org.name}: DELETE /sessions/${session.id} memories=${withMemories}`);
  const path = `/sessions/${session.id}${withMemories ? '?memories=true' : ''}`;
  mustRefuse('of another org', await world.api(world.otherOrg(org)).del(path), { status: 404 });
  must('a deletion', await world.api(org).del(path), 204);
  org.model.sessions.delete(session.id);
  const erased = withMemories ? org.model.select({ session_id: session.id }) : [];
  org.model.forget(erased.map((memory) => memory.id));
}

export async function createAgent(world: World, org: Org): Promise<void> {
  const name = world.random.chance(0.4)
    ? world.random.pick(AGENTS)
    : `reg-${world.random.int(1, 30)}`;
  const body: Record<string, unknown> = { name };
  if (world.random.chance(0.5)) body['description'] = 'does things';
  if (world.random.chance(0.5)) body['config'] = { depth: 2 };
  world.note(`${org.name}: POST /agents ${describe(body)}`);
  const answer = await world.api(org).post<Agent & Record<string, unknown>>('/agents', body);
  if ([...org.model.agents.values()].some((agent) => agent.name === name)) {
    mustRefuse('a taken name', answer, { status: 409, code: 'name_taken' });
    return;
  }
  const agent = must('an agent', answer, 201);
  const { id, org_id, created_at, last_active_at: _, ...rest } = agent;
  same('an agent', rest, body);
  const kept: Agent = { id, org_id, created_at, name };
  org.model.agents.set(id, { ...kept, ...body });
}

export async function readAgents(world: World, org: Org): Promise<void> {
  world.note(`${org.name}: GET /agents`);
  const answer = await world.api(org).get<{ agents: Agent[] }>('/agents?limit=1000');
  const got = must('agents', answer, 200).agents;
  const expected = [...org.model.agents.values()].map((agent) => org.model.agentAnswer(agent));
  same('the agents', byId(got), byId(expected));
  const one = anyOf(world, org.model.agents);
  if (one === undefined) return;
  const path = `/agents/${world.random.chance(0.5) ? one.id : one.name}`;
  same(path, must(path, await world.api(org).get(path), 200), org.model.agentAnswer(one));
}

export async function deleteAgent(world: World, org: Org): Promise<void> {
  const agent = anyOf(world, org.model.agents);
  if (agent === undefined) return;
  const withMemories = world.random.chance(0.3);
  const path = `/agents/${world.random.chance(0.5) ? agent.id : agent.name}`;
  world.note(`${org.name}: DELETE ${path} memories=${withMemories}`);
  must(path, await world.api(org).del(`${path}${withMemories ? '?memories=true' : ''}`), 204);
  org.model.agents.delete(agent.id);
  if (!withMemories) return;
  for (const id of [agent.id, agent.name]) {
    org.model.forget(org.model.select({ agent_id: id }).map((memory) => memory.id));
  }
}

export async function stats(world: World, org: Org): Promise<void> {
  const agent = world.random.pick([...AGENTS, 'nobody', ...org.model.agents.keys()]);
  world.note(`${org.name}: stats of ${agent}`);
  const answer = await world.api(org).get<Record<string, unknown>>(`/agents/${agent}/stats`);
  const got = must('stats', answer, 200);
  const types = Object.entries(got['memory_types'] ?? {}).filter(([, count]) => count !== 0);
  same('stats', { ...got, memory_types: Object.fromEntries(types) }, org.model.stats(agent));
}

function anyOf<T>(world: World, from: ReadonlyMap<string, T>): T | undefined {
  return from.size === 0 ? undefined : world.random.pick([...from.values()]);
}

function byId<T extends { id: string }>(from: readonly T[]): T[] {
  return [...from].sort((a, b) => (a.id < b.id ? -1 : 1));
}

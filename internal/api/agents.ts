import { decodeAgentsQuery, decodeMemoriesFlag } from '../event/query.js';
import { decodeAgent } from '../event/requests.js';
import type { Reply } from './http.js';
import { answerKey } from './memories.js';
import { pageAfter, pageMembers } from './pages.js';
import {
  type ApiRequest,
  eventLimits,
  json,
  noContent,
  noQuery,
  objectBody,
  queryOf,
} from './request.js';
import { agentView, statsView } from './views.js';

/** POST /agents */
export async function register(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, host } = request;
  const { value, bytes } = await objectBody(request);
  const input = decodeAgent(value, eventLimits(host.config));
  const agent = await services.agents.register(caller, input, answerKey(request, 'agents', bytes));
  return json(request, agentView(agent), 201);
}

/** GET /agents */
export async function list(request: ApiRequest): Promise<Reply> {
  const { services, caller } = request;
  const query = decodeAgentsQuery(queryOf(request), `${caller.orgId} agents`);
  const after = pageAfter(services, query);
  const { agents, hasMore } = await services.agents.list(caller, query.limit, after);
  const views = agents.map(agentView);
  return json(request, { agents: views, ...pageMembers(services, query, agents, hasMore) });
}

/** GET /agents/:id, by id, then by name */
export async function get(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, http } = request;
  return json(request, agentView(await services.agents.find(caller, http.param('id'))));
}

/** GET /agents/:id/stats, of a literal agent_id */
export async function stats(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, http } = request;
  return json(request, statsView(await services.agents.stats(caller, http.param('id'))));
}

/** DELETE /agents/:id?memories=true */
export async function remove(request: ApiRequest): Promise<Reply> {
  const erase = decodeMemoriesFlag(queryOf(request));
  const { services, caller, http } = request;
  const agent = await services.agents.remove(caller, http.param('id'));
  if (!erase) return noContent(request);
  const filter = { agentIds: [agent.id, agent.name] };
  const { erasureId } = await services.forget.matching(caller, filter);
  return noContent(request, { 'x-erasure-id': erasureId });
}

import { decodeMemoriesFlag, decodeSessionsQuery } from '../event/query.js';
import { decodeContext, decodeSession, decodeSessionPatch } from '../event/requests.js';
import { NAME_RULE } from '../event/rules.js';
import { invalid } from '../fault/fault.js';
import type { Reply } from './http.js';
import { answerKey } from './memories.js';
import { pageAfter, pageMembers } from './pages.js';
import {
  type ApiRequest,
  clientSignal,
  eventLimits,
  json,
  noContent,
  noQuery,
  objectBody,
  queryOf,
} from './request.js';
import { incompleteView, sessionView } from './views.js';

/** POST /sessions */
export async function create(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, host } = request;
  const { value, bytes } = await objectBody(request);
  const input = decodeSession(value, eventLimits(host.config));
  const key = answerKey(request, 'sessions', bytes);
  return json(request, sessionView(await services.sessions.create(caller, input, key)), 201);
}

/** GET /sessions */
export async function list(request: ApiRequest): Promise<Reply> {
  const { services, caller } = request;
  const scope = `${caller.orgId} sessions`;
  const query = decodeSessionsQuery(queryOf(request), scope);
  const { agentId, status } = query;
  const filter = { agentId, status };
  const after = pageAfter(services, query);
  const { sessions, hasMore } = await services.sessions.list(caller, filter, query.limit, after);
  const views = sessions.map(sessionView);
  return json(request, { sessions: views, ...pageMembers(services, query, sessions, hasMore) });
}

/** GET /sessions/:id */
export async function get(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, http } = request;
  return json(request, sessionView(await services.sessions.find(caller, http.param('id'))));
}

/** PUT /sessions/:id */
export async function update(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, http } = request;
  const { value } = await objectBody(request);
  const patch = decodeSessionPatch(value);
  const session = await services.sessions.update(caller, http.param('id'), patch);
  return json(request, sessionView(session));
}

/** DELETE /sessions/:id?memories=true */
export async function remove(request: ApiRequest): Promise<Reply> {
  const erase = decodeMemoriesFlag(queryOf(request));
  const { services, caller, http } = request;
  const id = http.param('id');
  await services.sessions.remove(caller, id);
  if (!erase) return noContent(request);
  const { erasureId } = await services.forget.matching(caller, { sessionId: id });
  return noContent(request, { 'x-erasure-id': erasureId });
}

/** POST /sessions/:id/context */
export async function context(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, http, host } = request;
  const sessionId = http.param('id');
  if (!NAME_RULE.regex.test(sessionId)) {
    throw invalid('session_id', `session_id ${NAME_RULE.must}.`);
  }
  const { value } = await objectBody(request, true);
  const asked = { sessionId, ...decodeContext(value, host.clock.nowUs()) };
  const view = await services.context.render(caller, asked, clientSignal(request));
  return json(request, {
    session_id: view.sessionId,
    registered: view.registered,
    context: view.context,
    memory_count: view.memoryCount,
    token_count: view.tokenCount,
    truncated: view.truncated,
    omitted_count: view.omittedCount,
    ...incompleteView(view.incomplete),
  });
}

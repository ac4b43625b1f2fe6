import { decodeKey, decodeRetention } from '../event/requests.js';
import type { Reply } from './http.js';
import { type ApiRequest, json, noContent, noQuery, objectBody } from './request.js';
import { erasureView, keyView } from './views.js';

/** GET /keys */
export async function list(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const keys = await request.services.keys.list(request.caller.orgId);
  return json(request, { keys: keys.map(keyView), count: keys.length });
}

/** GET /keys/self */
export async function self(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { key, org } = request.caller;
  return json(request, { ...keyView(key), org: { id: org.id, name: org.name } });
}

/** POST /keys: the key itself is in this answer only. */
export async function create(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, host } = request;
  const { value } = await objectBody(request);
  const input = decodeKey(value, host.clock.nowUs());
  const { key, secret } = await services.keys.create(caller.orgId, input);
  return json(request, { ...keyView(key), key: secret }, 201);
}

/** DELETE /keys/:id */
export async function revoke(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, http } = request;
  await services.keys.revoke(caller.orgId, http.param('id'));
  return noContent(request);
}

/** GET /retention */
export async function retention(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  return json(request, await request.services.retention.get(request.caller));
}

/** PUT /retention */
export async function setRetention(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller } = request;
  const { value } = await objectBody(request);
  return json(request, await services.retention.set(caller, decodeRetention(value)));
}

/** GET /erasures/:id */
export async function erasure(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, http } = request;
  const { deletion, filesLeft } = await services.forget.erasure(caller, http.param('id'));
  return json(request, erasureView(deletion, filesLeft));
}

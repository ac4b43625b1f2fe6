import { hash } from 'node:crypto';
import { turns } from '../base/turns.js';
import { memoryJson } from '../event/json.js';
import {
  decodeDeletionQuery,
  decodeFilterQuery,
  decodeListQuery,
  decodeSearch,
  type ListOptions,
} from '../event/query.js';
import { Fault, invalid } from '../fault/fault.js';
import type { AnswerKey } from '../ingest/answers.js';
import type { Listed } from '../memory/listing.js';
import { lines } from './export.js';
import type { Reply } from './http.js';
import { streamMemories } from './ndjson.js';
import { parseInTurn } from './parse.js';
import {
  type ApiRequest,
  clientSignal,
  json,
  jsonText,
  noContent,
  noQuery,
  objectBody,
  queryOf,
  takeBody,
} from './request.js';
import { batchBytes, incompleteView, memoriesJson, partialView, rememberedJson } from './views.js';

const KEY_PATTERN = /^[\x21-\x7e]{1,128}$/;

/** Answers to more than this are made one a turn of the event loop: about half a millisecond. */
const TURN_ITEMS = 200;

/** POST /memories: one, a batch, or a stream of lines. */
export async function remember(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const type = mediaType(request);
  if (type === 'application/x-ndjson') return streamMemories(request);
  const body = await takeBody(request);
  try {
    const key = answerKey(request, 'memories', body.bytes);
    const value = await parseInTurn(body.bytes);
    const items = batchOf(value);
    if (items === null) return await rememberOne(request, value, key);
    return await rememberBatch(request, items, key);
  } finally {
    body.release();
  }
}

async function rememberOne(
  request: ApiRequest,
  value: unknown,
  key: AnswerKey | undefined,
): Promise<Reply> {
  const { services, caller } = request;
  const remembered = await services.remember.one(caller, value, key);
  return jsonText(request, rememberedJson(remembered), 201);
}

async function rememberBatch(
  request: ApiRequest,
  items: unknown[],
  key: AnswerKey | undefined,
): Promise<Reply> {
  const { services, caller, host } = request;
  const max = host.config.limits.batchItems;
  if (items.length === 0) throw invalid('memories', 'memories must not be empty.');
  if (items.length > max) {
    throw new Fault('batch_too_large', `a batch holds at most ${max} memories`, {
      field: 'memories',
      hint: 'send several batches, or a stream of application/x-ndjson',
    });
  }
  const batch = await services.remember.batch(caller, items, key);
  // Not in the same turn as the answers to all others that became durable together.
  if (batch.memories.length > TURN_ITEMS) await turns.next();
  return jsonText(request, batchBytes(batch), 201);
}

/** The items of `{"memories": [...]}`, or null for anything else, which is one memory. */
function batchOf(value: unknown): unknown[] | null {
  if (typeof value !== 'object' || value === null || !('memories' in value)) return null;
  if (!Array.isArray(value.memories)) throw invalid('memories', 'memories must be a list.');
  return value.memories;
}

function mediaType(request: ApiRequest): string {
  const type = request.http.header('content-type') ?? 'application/json';
  const bare = type.split(';', 1)[0].trim().toLowerCase();
  if (bare === 'application/json' || bare === 'application/x-ndjson') return bare;
  // What curl -d sends when told nothing else: plainly meant as JSON.
  if (bare === 'application/x-www-form-urlencoded' || bare.endsWith('+json')) {
    return 'application/json';
  }
  throw new Fault('unsupported_media_type', 'this Content-Type is not supported', {
    field: 'Content-Type',
    hint: 'send application/json or application/x-ndjson',
  });
}

/** What the Idempotency-Key of a request belongs to; undefined without the header. */
export function answerKey(
  request: ApiRequest,
  route: string,
  bytes: Buffer,
): AnswerKey | undefined {
  const key = request.http.header('idempotency-key');
  if (key === undefined) return undefined;
  if (!KEY_PATTERN.test(key)) {
    throw invalid('Idempotency-Key', 'Idempotency-Key must be 1 to 128 visible ASCII characters.');
  }
  return { orgId: request.caller.orgId, route, key, bodyHash: hash('sha256', bytes, 'hex') };
}

function optionsOf(request: ApiRequest, route: string, more?: Partial<ListOptions>): ListOptions {
  const { caller, host } = request;
  return { nowUs: host.clock.nowUs(), scope: `${caller.orgId} ${route}`, ...more };
}

function listedJson(request: ApiRequest, name: string, listed: Listed, more = ''): Reply {
  const rest = {
    has_more: listed.hasMore,
    ...(listed.nextCursor === null ? {} : { next_cursor: listed.nextCursor }),
    ...incompleteView(listed.incomplete),
    ...partialView(listed.searchedUs),
  };
  const tail = JSON.stringify(rest).slice(1);
  const head = `{"${name}":${memoriesJson(listed.events)},"count":${listed.events.length}`;
  return jsonText(request, `${head}${more},${tail}`);
}

/** GET /memories */
export async function list(request: ApiRequest): Promise<Reply> {
  const query = decodeListQuery(queryOf(request), optionsOf(request, 'memories'));
  const { services, caller } = request;
  const listed = await services.listing.list(caller, query, 'list', clientSignal(request));
  return listedJson(request, 'memories', listed);
}

/** GET /agents/:id/memories: of a literal agent_id; the last 24 hours unless told otherwise. */
export async function listOfAgent(request: ApiRequest): Promise<Reply> {
  const agentId = request.http.param('id');
  const more = { fixed: 'agent_id', since: '24h' };
  const options = optionsOf(request, `agents/${agentId}/memories`, more);
  const query = decodeListQuery(queryOf(request), options);
  query.filter.agentIds = [agentId];
  const { services, caller } = request;
  const listed = await services.listing.list(caller, query, 'list', clientSignal(request));
  return listedJson(request, 'memories', listed);
}

/** GET /sessions/:id/memories: of a literal session_id; an unknown one has none. */
export async function listOfSession(request: ApiRequest): Promise<Reply> {
  const sessionId = request.http.param('id');
  const options = optionsOf(request, `sessions/${sessionId}/memories`, { fixed: 'session_id' });
  const query = decodeListQuery(queryOf(request), options);
  query.filter.sessionId = sessionId;
  const { services, caller } = request;
  const listed = await services.listing.list(caller, query, 'list', clientSignal(request));
  return listedJson(request, 'memories', listed);
}

/** POST /search */
export async function search(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, host } = request;
  const start = host.clock.monoMs();
  const { value } = await objectBody(request);
  const query = decodeSearch(value, optionsOf(request, 'search'));
  const listed = await services.listing.list(caller, query, 'search', clientSignal(request));
  const took = Math.max(0, Math.round(host.clock.monoMs() - start));
  return listedJson(request, 'results', listed, `,"query_time_ms":${took}`);
}

/** GET /memories/:id */
export async function get(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, http } = request;
  const id = http.param('id');
  const event = await services.listing.get(caller, id, clientSignal(request));
  return jsonText(request, memoryJson(event));
}

/** DELETE /memories/:id */
export async function forgetOne(request: ApiRequest): Promise<Reply> {
  noQuery(request);
  const { services, caller, http } = request;
  const forgotten = await services.forget.one(caller, http.param('id'));
  return noContent(request, { 'x-erasure-id': forgotten.erasureId });
}

/** DELETE /memories with filters */
export async function forgetMatching(request: ApiRequest): Promise<Reply> {
  const { services, caller, host } = request;
  const filter = decodeDeletionQuery(queryOf(request), host.clock.nowUs());
  const { deleted, erasureId, incomplete } = await services.forget.matching(caller, filter);
  const headers = { 'x-erasure-id': erasureId };
  const answer = { deleted, erasure_id: erasureId, ...incompleteView(incomplete) };
  return json(request, answer, 200, headers);
}

/** GET /export */
export async function exportAll(request: ApiRequest): Promise<Reply> {
  const { services, caller, host } = request;
  const filter = decodeFilterQuery(queryOf(request), host.clock.nowUs());
  const pages = services.listing.export(caller, filter, clientSignal(request));
  return lines(request, pages);
}

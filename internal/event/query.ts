import { invalid } from '../fault/fault.js';
import type { EventFilter, Order } from './event.js';
import {
  CURSOR_LENGTH_MAX,
  LIST_LIMIT,
  NAME_RULE,
  OFFSET_MAX,
  SEARCH_LIMIT,
  type SessionStatus,
  STATUS_RULE,
} from './rules.js';
import {
  canonicalOf,
  filterOf,
  has,
  limitOf,
  literalOf,
  onlyNames,
  orderOf,
  PAGE_NAMES,
  tagsIn,
  textOf,
} from './select.js';
import { asObject } from './text.js';

/** The parameters of a URL, each with every value that was given. */
export type QueryParams = Readonly<Record<string, readonly string[]>>;

/** A page of events that a client asked for. */
export interface ListRequest {
  /** With a cursor it has no window: the cursor holds the one of the first page (cursor.ts). */
  filter: EventFilter;
  order: Order;
  limit: number;
  offset: number;
  cursor?: string;
  /** Binds cursors to this organization, route, filters and order. */
  canonical: string;
}

/** A page of agents or sessions, newest first. */
export interface PageRequest {
  limit: number;
  cursor?: string;
  /** Binds cursors to this organization, route and filters. */
  canonical: string;
}

export interface SessionPageRequest extends PageRequest {
  agentId?: string;
  status?: SessionStatus;
}

export interface ListOptions {
  nowUs: number;
  /** The organization and the route: a cursor is good for these only. */
  scope: string;
  /** A filter that the route itself sets, so that a client cannot: `agent_id` or `session_id`. */
  fixed?: string;
  /** The time value of an absent `since`. */
  since?: string;
}

/** The filters of GET /memories, which exports and deletions share. */
export const FILTER_NAMES: readonly string[] = [
  'agent_id',
  'session_id',
  'memory_type',
  'event_type',
  'tags',
  'parent_id',
  'min_importance',
  'since',
  'until',
];

const SEARCH_NAMES: readonly string[] = [
  'agent_id',
  'session_id',
  'memory_types',
  'event_types',
  'tags',
  'content_contains',
  'min_importance',
  'since',
  'until',
  'limit',
  'order',
  'cursor',
];

/** GET /memories and the lists of an agent's and of a session's memories. */
export function decodeListQuery(params: QueryParams, options: ListOptions): ListRequest {
  const allowed = [...FILTER_NAMES, ...PAGE_NAMES].filter((name) => name !== options.fixed);
  const sent = valuesIn(singleValues(params, allowed));
  if (has(sent, 'cursor') && has(sent, 'offset')) {
    throw invalid('offset', 'offset and cursor exclude each other: send one of them.');
  }
  return listRequest(sent, options, LIST_LIMIT);
}

/** POST /search. Unknown members are refused here, unlike in a memory. */
export function decodeSearch(raw: unknown, options: ListOptions): ListRequest {
  const sent = asObject(raw, '');
  onlyNames(Object.keys(sent), SEARCH_NAMES, 'field');
  return listRequest(sent, options, SEARCH_LIMIT);
}

/** The filter of an export: that of GET /memories, without pages. */
export function decodeFilterQuery(params: QueryParams, nowUs: number): EventFilter {
  return filterOf(valuesIn(singleValues(params, FILTER_NAMES)), nowUs);
}

/** The filter of DELETE /memories: at least one, so that nobody deletes everything by accident. */
export function decodeDeletionQuery(params: QueryParams, nowUs: number): EventFilter {
  const filter = decodeFilterQuery(params, nowUs);
  if (Object.keys(filter).length > 0) return filter;
  throw invalid('query', 'A deletion needs at least one filter.', known(FILTER_NAMES));
}

/** GET /agents. */
export function decodeAgentsQuery(params: QueryParams, scope: string): PageRequest {
  return pageRequest(singleValues(params, PAGE), scope);
}

/** GET /sessions. */
export function decodeSessionsQuery(params: QueryParams, scope: string): SessionPageRequest {
  const sent = singleValues(params, ['agent_id', 'status', ...PAGE]);
  const request: SessionPageRequest = pageRequest(sent, scope);
  if (has(sent, 'agent_id')) request.agentId = textOf(sent, 'agent_id', NAME_RULE);
  if (has(sent, 'status')) {
    request.status = textOf(sent, 'status', STATUS_RULE) as SessionStatus;
  }
  return request;
}

/** `?memories=true` of the DELETE of an agent or of a session: whether its memories go too. */
export function decodeMemoriesFlag(params: QueryParams): boolean {
  const { memories = 'false' } = singleValues(params, ['memories']);
  if (memories === 'true' || memories === 'false') return memories === 'true';
  throw invalid('memories', 'memories must be "true" or "false".');
}

const PAGE = ['limit', 'cursor'];

function pageRequest(sent: Record<string, string>, scope: string): PageRequest {
  return {
    limit: has(sent, 'limit') ? limitOf(wholeNumber(sent.limit)) : LIST_LIMIT,
    ...(has(sent, 'cursor') ? { cursor: cursorOf(sent) } : {}),
    canonical: canonicalOf(scope, sent, 'desc'),
  };
}

function listRequest(
  sent: Readonly<Record<string, unknown>>,
  options: ListOptions,
  limit: number,
): ListRequest {
  const order = orderOf(sent);
  const cursor = has(sent, 'cursor') ? cursorOf(sent) : undefined;
  const defaulted = options.since !== undefined && !has(sent, 'since');
  const filters = defaulted ? { ...sent, since: options.since } : sent;
  return {
    filter: filterOf(filters, options.nowUs, cursor !== undefined),
    order,
    limit: has(sent, 'limit') ? limitOf(sent.limit) : limit,
    offset: offsetOf(sent.offset),
    ...(cursor === undefined ? {} : { cursor }),
    canonical: canonicalOf(options.scope, sent, order),
  };
}

/** One value each; unknown, repeated and empty parameters are refused. */
export function singleValues(
  params: QueryParams,
  allowed: readonly string[],
): Record<string, string> {
  onlyNames(Object.keys(params), allowed, 'parameter');
  const values: Record<string, string> = {};
  for (const name of Object.keys(params)) {
    const [value, ...more] = params[name];
    if (more.length > 0) throw invalid(name, `${name} must be given only once.`);
    if (!value) throw invalid(name, `${name} must not be empty; leave it out instead.`);
    values[name] = value;
  }
  return values;
}

/** The texts of a URL as the values that a body would hold; NaN for a number that is none. */
function valuesIn(texts: Record<string, string>): Record<string, unknown> {
  const sent: Record<string, unknown> = { ...texts };
  if (has(texts, 'limit')) sent.limit = wholeNumber(texts.limit);
  if (has(texts, 'offset')) sent.offset = wholeNumber(texts.offset);
  if (has(texts, 'min_importance')) sent.min_importance = decimal(texts.min_importance);
  if (has(texts, 'tags')) sent.tags = tagsIn(texts.tags);
  return sent;
}

function decimal(text: string): number {
  return /^\d{0,15}\.?\d{1,30}(?:e-?\d{1,3})?$/i.test(text) ? Number(text) : Number.NaN;
}

function wholeNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}

function offsetOf(offset: unknown): number {
  if (offset === undefined || offset === null) return 0;
  if (typeof offset === 'number' && offset >= 0 && offset <= OFFSET_MAX) return offset;
  throw invalid('offset', `offset must be a whole number from 0 to ${OFFSET_MAX}.`);
}

function cursorOf(sent: Readonly<Record<string, unknown>>): string {
  return literalOf(sent, 'cursor', CURSOR_LENGTH_MAX);
}

function known(names: readonly string[]): string {
  return `Known are: ${names.join(', ')}.`;
}

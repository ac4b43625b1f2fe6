import type { Memory, Page } from '../../support/memory.js';
import { aFilter, aSearch, aSession, describe } from './choose.js';
import { same } from './compare.js';
import type { Filter } from './model.js';
import { must, mustRefuse, type Org, type World } from './world.js';

const MAX_PAGES = 12;

export async function list(world: World, org: Org): Promise<void> {
  const filter = aFilter(world.random, org.model);
  const desc = world.random.chance(0.6);
  const limit = world.random.pick([1, 3, 20, 100, 1000]);
  const offset = world.random.chance(0.2) ? world.random.int(0, 30) : 0;
  const query = `${queryOf(filter)}&limit=${limit}&order=${desc ? 'desc' : 'asc'}`;
  const path = `/memories?${offset > 0 ? `${query}&offset=${offset}` : query}`;
  world.note(`${org.name}: GET ${path}`);
  const page = must(path, await world.api(org).get<Page>(path), 200);
  checkPage(path, page, ordered(org, filter, desc).slice(offset), limit);
}

/** The two routes that bring a filter of their own. */
export async function listOf(world: World, org: Org): Promise<void> {
  const filter = aFilter(world.random, org.model);
  const bySession = world.random.chance(0.5);
  const session = aSession(world.random, org.model);
  const agent = world.random.pick(['alice', 'bob', 'crawler']);
  const expected: Filter = bySession
    ? { ...filter, session_id: session }
    : { since: '24h', ...filter, agent_id: agent };
  if (bySession) delete filter.session_id;
  else delete filter.agent_id;
  if (!bySession && filter.until !== undefined && filter.since === undefined) return;
  const owner = bySession ? `/sessions/${session}` : `/agents/${agent}`;
  const path = `${owner}/memories?${queryOf(filter)}`;
  world.note(`${org.name}: GET ${path}`);
  const page = must(path, await world.api(org).get<Page>(path), 200);
  checkPage(path, page, ordered(org, expected, true), 100);
}

/** Page by page to the end. */
export async function walkDown(world: World, org: Org): Promise<void> {
  const filter = aFilter(world.random, org.model);
  const desc = world.random.chance(0.7);
  const expected = ordered(org, filter, desc);
  const limit = Math.max(world.random.int(2, 40), Math.ceil(expected.length / MAX_PAGES));
  const query = `${queryOf(filter)}&limit=${limit}&order=${desc ? 'desc' : 'asc'}`;
  world.note(`${org.name}: walk ${query}`);
  const seen: Memory[] = [];
  let cursor: string | undefined;
  do {
    const more = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const path = `/memories?${query}${more}`;
    const page = must(path, await world.api(org).get<Page>(path), 200);
    seen.push(...page.memories);
    same('a cursor with has_more', page.next_cursor !== undefined, page.has_more);
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  // What expired on the way may have been met or not.
  const now = new Date().toISOString();
  const stays = (memory: Memory) => (memory.expires_at ?? '9') > now;
  same(`the walk ${query}`, seen.filter(stays), expected.filter(stays));
}

export async function foreignCursor(world: World, org: Org): Promise<void> {
  const first = await world.api(org).get<Page>('/memories?limit=1');
  const cursor = first.body.next_cursor;
  if (cursor === undefined) return;
  const path = world.random.pick([
    `/memories?limit=1&order=asc&cursor=${encodeURIComponent(cursor)}`,
    `/memories?agent_id=alice&cursor=${encodeURIComponent(cursor)}`,
    `/memories?offset=1&cursor=${encodeURIComponent(cursor)}`,
    `/memories?cursor=${encodeURIComponent(`x${cursor.slice(1, -2)}AA`)}`,
  ]);
  world.note(`${org.name}: GET ${path}`);
  mustRefuse(path, await world.api(org).get(path), { status: 400 });
}

export async function search(world: World, org: Org): Promise<void> {
  const filter = aSearch(world.random, org.model);
  const desc = world.random.chance(0.7);
  const limit = world.random.pick([1, 5, 50, 1000]);
  const body = { ...filter, limit, order: desc ? 'desc' : 'asc' };
  world.note(`${org.name}: search ${describe(body)}`);
  const answer = await world.api(org).post<Page & { results: Memory[] }>('/search', body);
  const { results, ...rest } = must('a search', answer, 200);
  const page = { ...rest, memories: results };
  checkPage(`search ${describe(body)}`, page, ordered(org, filter, desc), limit);
}

export async function getOne(world: World, org: Org): Promise<void> {
  const known = [...org.model.live()];
  if (known.length === 0) return;
  const memory = world.random.pick(known);
  world.note(`${org.name}: get ${memory.id}`);
  same('get by id', must('get', await world.api(org).get(`/memories/${memory.id}`), 200), memory);
  const other = world.otherOrg(org);
  mustRefuse('of another org', await world.api(other).get(`/memories/${memory.id}`), {
    status: 404,
  });
}

export async function getGone(world: World, org: Org): Promise<void> {
  if (org.model.gone.length === 0) return;
  const id = world.random.pick(org.model.gone);
  world.note(`${org.name}: get deleted ${id}`);
  mustRefuse('a deleted one', await world.api(org).get(`/memories/${id}`), { status: 404 });
  mustRefuse('deleting it again', await world.api(org).del(`/memories/${id}`), { status: 404 });
}

interface Context {
  session_id: string;
  registered: boolean;
  context: string;
  memory_count: number;
  omitted_count: number;
  truncated: boolean;
}

export async function context(world: World, org: Org): Promise<void> {
  const session = aSession(world.random, org.model);
  const maxMemories = world.random.pick([1, 5, 100, 1000]);
  const types = world.random.chance(0.3) ? ['decision', 'entity'] : undefined;
  const body: Record<string, unknown> = { since: 'all', max_memories: maxMemories };
  if (types !== undefined) body['include_types'] = types;
  world.note(`${org.name}: context of ${session} ${describe(body)}`);
  const filter: Filter = { session_id: session, since: '1970-01-01T00:00:00.000000Z' };
  if (types !== undefined) filter.memory_types = types;
  const before = org.model.select(filter).length;
  const answer = await world.api(org).post<Context>(`/sessions/${session}/context`, body);
  const got = must('a context', answer, 200);
  // The first one of a server loads the tokenizer, which takes seconds on a busy machine: what
  // expired meanwhile may have been met or not.
  const total = got.memory_count + got.omitted_count;
  const after = org.model.select(filter).length;
  same('shown and omitted', total, Math.min(before, Math.max(after, total)));
  same('no more than asked for', got.memory_count <= maxMemories, true);
  same('registered', got.registered, org.model.sessions.has(session));
  same('truncated', got.truncated || got.omitted_count === 0, true);
  same('the heading', got.context.startsWith(`## Session Context (${session})`), true);
}

function ordered(org: Org, filter: Filter, desc: boolean): Memory[] {
  const rows = org.model.select(filter);
  return desc ? rows.reverse() : rows;
}

function checkPage(what: string, page: Page, all: readonly Memory[], limit: number): void {
  same(what, page.memories, all.slice(0, limit));
  same(`${what}: count`, page.count, page.memories.length);
  same(`${what}: has_more`, page.has_more, all.length > limit);
  same(`${what}: next_cursor`, page.next_cursor !== undefined, page.has_more);
}

/** A filter as a query string; what only /search has is left to the caller. */
export function queryOf(filter: Filter): string {
  const { memory_types, event_types, tags, content_contains: _, ...plain } = filter;
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(plain)) query.set(name, String(value));
  if (memory_types?.[0] !== undefined) query.set('memory_type', memory_types[0]);
  if (event_types?.[0] !== undefined) query.set('event_type', event_types[0]);
  if (tags !== undefined) query.set('tags', tags.join(','));
  return query.toString();
}

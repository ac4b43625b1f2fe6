import type { Memory, NewMemory } from '../../support/memory.js';
import { aMemory, describe } from './choose.js';
import { same } from './compare.js';
import { type Answered, dedupKeyOf, expectedOf } from './model.js';
import { must, mustRefuse, type Org, type World } from './world.js';

const SERVER_ONLY = ['id', 'org_id', 'ingested_at', 'time', 'expires_at'] as const;

interface BatchAnswer {
  memories: Memory[];
  count: number;
  duplicates: number;
  skipped?: { index: number; id: string }[];
}

export async function writeOne(world: World, org: Org): Promise<void> {
  const memory = newOrKnown(world, org);
  world.note(`${org.name}: write ${describe(memory)}`);
  const holder = org.model.holderOf(dedupKeyOf(memory));
  const answer = await world.api(org).post<Memory>('/memories', memory);
  if (holder === undefined) {
    remember(org, memory, must('a write', answer, 201));
    return;
  }
  const body = must<Record<string, unknown>>(
    'a duplicate',
    { ...answer, body: { ...answer.body } },
    409,
  );
  same(
    'the duplicate',
    { id: body['id'], error: body['error'], code: body['code'] },
    {
      id: holder,
      error: 'duplicate memory',
      code: 'duplicate_memory',
    },
  );
}

export async function writeBatch(world: World, org: Org): Promise<void> {
  const memories = someMemories(world, org, world.random.int(1, 30));
  world.note(`${org.name}: batch of ${memories.length}, e.g. ${describe(memories[0])}`);
  const expected = plan(org, memories);
  const answer = await world.api(org).post<BatchAnswer>('/memories', { memories });
  takeBatch(org, memories, expected, must('a batch', answer, 201));
}

/** Retried at once and, from the list of answers, much later. */
export async function writeWithKey(world: World, org: Org): Promise<void> {
  const single = world.random.chance(0.5);
  const memories = single ? [aMemory(world.random, org.model)] : someMemories(world, org, 5);
  const [first] = memories;
  if (first === undefined) return;
  const expected = plan(org, memories);
  if (single && expected.length === 0) return;
  const key = `k-${world.operations}-${world.random.int(0, 1e9)}`;
  const body = single ? first : { memories };
  world.note(`${org.name}: with key ${key} ${describe(body)}`);
  const options = { headers: { 'idempotency-key': key } };
  const answer = await world.api(org).post<Memory & BatchAnswer>('/memories', body, options);
  const stored = must('a write with a key', answer, 201);
  if (single) remember(org, first, stored);
  else takeBatch(org, memories, expected, stored);
  const ids = single ? [stored.id] : stored.memories.map((memory) => memory.id);
  const answered = { key, body, ids, duplicates: single ? 0 : stored.duplicates };
  org.model.answered.push(answered);
  await retryOne(world, org, answered);
}

export async function retry(world: World, org: Org): Promise<void> {
  if (org.model.answered.length === 0) return;
  await retryOne(world, org, world.random.pick(org.model.answered));
}

async function retryOne(world: World, org: Org, first: Answered): Promise<void> {
  const changed = world.random.chance(0.2);
  world.note(`${org.name}: retry of ${first.key}${changed ? ' with another body' : ''}`);
  const options = { headers: { 'idempotency-key': first.key } };
  const body = changed ? { agent_id: 'alice', content: 'another body' } : first.body;
  const answer = await world.api(org).post<Memory & BatchAnswer>('/memories', body, options);
  if (changed) {
    const refusal = { status: 422, code: 'idempotency_key_reused' };
    mustRefuse('another body', { ...answer, body: { ...answer.body } }, refusal);
    return;
  }
  const again = must('a retry', answer, 201);
  const single = !('memories' in first.body);
  const ids = single ? [again.id] : again.memories.map((memory) => memory.id);
  same('the ids of a retry', ids, first.ids);
  if (!single) same('the duplicates of a retry', again.duplicates, first.duplicates);
  const deleted = single && org.model.gone.includes(first.ids[0] ?? '');
  if (deleted) same('the retry of a deleted one', 'deleted' in again, true);
}

export async function writeStream(world: World, org: Org): Promise<void> {
  const memories = someMemories(world, org, world.random.int(1, 40));
  const bad = { agent_id: '9', content: 'bad agent' };
  const lines: unknown[] = [...memories];
  const badAt = world.random.int(0, lines.length);
  const withBad = world.random.chance(0.4);
  if (withBad) lines.splice(badAt, 0, bad);
  world.note(`${org.name}: stream of ${lines.length}`);
  const expected = plan(org, memories);
  const answer = must('a stream', await world.api(org).ndjson(lines), 200);
  const { rejected, ...counts } = answer as { rejected: { line: number }[] };
  const duplicates = memories.length - expected.length;
  const rejectedCount = withBad ? 1 : 0;
  same('a stream', counts, {
    accepted: expected.length,
    duplicates,
    rejected_count: rejectedCount,
  });
  same(
    'rejected lines',
    rejected.map((r) => r.line),
    withBad ? [badAt + 1] : [],
  );
  await adoptStream(
    world,
    org,
    expected.map((at) => memories[at]),
  );
}

/** A stream answers no ids: they are found by the dedup keys, which no two live memories share. */
async function adoptStream(
  world: World,
  org: Org,
  memories: readonly (NewMemory | undefined)[],
): Promise<void> {
  const { body } = await world.api(org).get<{ memories: Memory[] }>('/memories?limit=1000');
  const all = new Map(body.memories.map((memory) => [memory.dedup_key, memory]));
  for (const memory of memories) {
    if (memory === undefined) continue;
    let stored = all.get(dedupKeyOf(memory));
    if (stored === undefined) {
      const since = memory.time ?? '1h';
      const window = `since=${since}&agent_id=${memory.agent_id}&order=asc&limit=1000`;
      const page = await world.api(org).get<{ memories: Memory[] }>(`/memories?${window}`);
      stored = page.body.memories.find((m) => m.dedup_key === dedupKeyOf(memory));
    }
    same('a streamed memory is found', stored !== undefined, true);
    if (stored !== undefined) remember(org, memory, stored);
  }
}

/** Nothing of a refused request is stored: the next reads would show it. */
export async function writeInvalid(world: World, org: Org): Promise<void> {
  const good = aMemory(world.random, org.model);
  const [field, memory] = world.random.pick<[string, Record<string, unknown>]>([
    ['agent_id', { ...good, agent_id: '1x' }],
    ['content', { ...good, content: '' }],
    ['content', { ...good, content: 'x'.repeat(65_537) }],
    ['memory_type', { ...good, memory_type: 'dream' }],
    ['importance', { ...good, importance: 1.01 }],
    ['event_type', { ...good, event_type: 'a-b' }],
    ['session_id', { ...good, session_id: 'a b' }],
    ['parent_id', { ...good, parent_id: 'p'.repeat(129) }],
  ]);
  const inBatch = world.random.chance(0.5);
  const body = inBatch ? { memories: [good, memory] } : memory;
  world.note(`${org.name}: invalid ${field}${inBatch ? ' in a batch' : ''}`);
  const named = inBatch ? `memories[1].${field}` : field;
  const answer = await world.api(org).post('/memories', body);
  mustRefuse('an invalid write', answer, { status: 400, field: named });
}

function newOrKnown(world: World, org: Org): NewMemory {
  const known = org.model.live();
  if (known.length === 0 || !world.random.chance(0.12)) return aMemory(world.random, org.model);
  const { agent_id, session_id, event_type, content, dedup_key } = world.random.pick(known);
  const again: NewMemory = { agent_id, event_type, content };
  if (session_id !== undefined) again.session_id = session_id;
  if (world.random.chance(0.3)) again.dedup_key = dedup_key;
  return again;
}

function someMemories(world: World, org: Org, count: number): NewMemory[] {
  const memories = Array.from({ length: count }, () => newOrKnown(world, org));
  if (count > 2 && world.random.chance(0.3))
    memories[count - 1] = { ...(memories[0] as NewMemory) };
  return memories;
}

/** The places of those that are new, to the store and within the request. */
function plan(org: Org, memories: readonly NewMemory[]): number[] {
  const taken = new Set<string>();
  const fresh: number[] = [];
  for (const [at, memory] of memories.entries()) {
    const key = dedupKeyOf(memory);
    if (taken.has(key) || org.model.holderOf(key) !== undefined) continue;
    taken.add(key);
    fresh.push(at);
  }
  return fresh;
}

function takeBatch(
  org: Org,
  memories: readonly NewMemory[],
  fresh: readonly number[],
  got: BatchAnswer,
): void {
  const duplicates = memories.length - fresh.length;
  same('the counts of a batch', [got.count, got.duplicates], [fresh.length, duplicates]);
  same('the stored of a batch', got.memories.length, fresh.length);
  for (const [nth, at] of fresh.entries()) {
    const [sent, stored] = [memories[at], got.memories[nth]];
    if (sent !== undefined && stored !== undefined) remember(org, sent, stored);
  }
  const expected = [];
  for (const [index, memory] of memories.entries()) {
    if (!fresh.includes(index))
      expected.push({ index, id: org.model.holderOf(dedupKeyOf(memory)) });
  }
  same('the skipped of a batch', got.skipped ?? [], expected);
}

/** Checks what was stored against what was sent, and keeps it. */
function remember(org: Org, sent: NewMemory, stored: Memory): void {
  const comparable: Record<string, unknown> = { ...stored };
  for (const field of SERVER_ONLY) delete comparable[field];
  const { time, expires_at: _at, ...expected } = expectedOf(sent);
  same('a stored memory', comparable, expected);
  if (time !== undefined) same('its time', stored.time, time);
  same('its id', /^mem_[0-9A-HJKMNP-TV-Z]{26}$/.test(stored.id), true);
  same('the time in its id', ulidMs(stored.id), Date.parse(stored.time));
  if (sent.ttl !== undefined) {
    const lives = Date.parse(stored.expires_at ?? '') - Date.parse(stored.ingested_at);
    same('its ttl', lives, Number(sent.ttl.slice(0, -1)) * 1_000);
  }
  org.model.memories.set(stored.id, stored);
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

function ulidMs(id: string): number {
  return [...id.slice(4, 14)].reduce((ms, digit) => ms * 32 + CROCKFORD.indexOf(digit), 0);
}

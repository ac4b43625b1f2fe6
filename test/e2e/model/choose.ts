import type { NewMemory } from '../../support/memory.js';
import type { Random } from '../../support/random.js';
import type { Filter, Model } from './model.js';

// Few values, so that filters meet several events; some are prefixes or parts of others.
export const AGENTS = ['alice', 'bob', 'crawler-1', 'crawler', 'Agent_2'] as const;
const SESSIONS = ['s1', 's2', 's3', 's', 'S1'] as const;
const TYPES = ['episodic', 'decision', 'entity', 'session'] as const;
const EVENTS = ['general', 'step', 'error', 'page_crawled'] as const;
const TAGS = ['a', 'b', 'ab', 'a.b', 'x_y', 'xzy'] as const;
const PARENTS = ['p1', 'p2', 'mem_x'] as const;
const WORDS = [
  'crawled',
  '100%',
  'a_b',
  'axb',
  'ÄÖ',
  '网页抓取',
  '価格',
  'Straße',
  '"q"',
  "it's",
] as const;
const ODD = [
  '\n# heading',
  '\\',
  '\t',
  '\u0001',
  '🧭',
  '<b>',
  '$1',
  '; DROP TABLE events',
] as const;
const TERMS = [
  'CRAWL',
  '%',
  '_',
  'a_b',
  'äö',
  '网页',
  '价',
  'straße',
  '"',
  "'",
  '\\',
  'absent',
] as const;
const METADATA = [{ n: 1 }, { a: { b: [1, 'ü', null] } }, { f: 0.1, t: true }, {}] as const;
const HOURS_BACK = 24 * 3;

/** A memory; every optional field is there or not. */
export function aMemory(random: Random, model: Model): NewMemory {
  const memory: NewMemory = { agent_id: anAgent(random, model), content: aContent(random) };
  if (random.chance(0.7)) memory.session_id = aSession(random, model);
  if (random.chance(0.7)) memory.memory_type = random.pick(TYPES);
  if (random.chance(0.6)) memory.event_type = random.pick(EVENTS);
  if (random.chance(0.3)) memory.metadata = random.pick(METADATA);
  if (random.chance(0.5)) memory.tags = random.some(TAGS, 0.4);
  if (random.chance(0.5)) memory.importance = random.int(0, 10) / 10;
  if (random.chance(0.2)) memory.parent_id = random.pick(PARENTS);
  if (random.chance(0.1)) memory.dedup_key = `own-${random.int(1, 40)}`;
  if (random.chance(0.4)) memory.time = aPastTime(random);
  if (random.chance(0.03)) memory.ttl = `${random.int(3, 6)}s`;
  return memory;
}

function aContent(random: Random): string {
  const words = Array.from({ length: random.int(1, 6) }, () => random.pick(WORDS));
  if (random.chance(0.2)) words.splice(random.int(0, words.length), 0, random.pick(ODD) as 'a_b');
  return `${words.join(' ')} ${random.int(1, 10_000)}`;
}

function anAgent(random: Random, model: Model): string {
  const registered = [...model.agents.keys()];
  if (registered.length > 0 && random.chance(0.1)) return random.pick(registered);
  return random.pick(AGENTS);
}

export function aSession(random: Random, model: Model): string {
  const registered = [...model.sessions.keys()];
  if (registered.length > 0 && random.chance(0.4)) return random.pick(registered);
  return random.pick(SESSIONS);
}

/**
 * Half past some hour of the last days, ±10 min: no relative window of whole hours ends near it.
 */
function aPastTime(random: Random): string {
  const back = (random.int(0, HOURS_BACK) + 0.5) * 3_600_000 + random.int(-600_000, 600_000);
  const micros = String(random.int(0, 999)).padStart(3, '0');
  return `${new Date(Date.now() - back).toISOString().slice(0, -1)}${micros}Z`;
}

/** Any combination of the filters of GET /memories; often none. */
export function aFilter(random: Random, model: Model): Filter {
  const filter: Filter = {};
  if (random.chance(0.4)) filter.agent_id = anAgent(random, model);
  if (random.chance(0.3)) filter.session_id = aSession(random, model);
  if (random.chance(0.2)) filter.memory_types = [random.pick(TYPES)];
  if (random.chance(0.2)) filter.event_types = [random.pick(EVENTS)];
  if (random.chance(0.2)) filter.tags = [...new Set([random.pick(TAGS), random.pick(TAGS)])];
  if (random.chance(0.1)) filter.parent_id = random.pick(PARENTS);
  if (random.chance(0.15)) filter.min_importance = random.int(0, 10) / 10;
  if (random.chance(0.3)) Object.assign(filter, aWindow(random, model));
  return filter;
}

/** The filters that only a search has. */
export function aSearch(random: Random, model: Model): Filter {
  const filter = aFilter(random, model);
  if (random.chance(0.3)) filter.memory_types = [random.pick(TYPES), random.pick(TYPES)];
  if (random.chance(0.3)) filter.event_types = [random.pick(EVENTS), random.pick(EVENTS)];
  if (random.chance(0.7)) filter.content_contains = random.pick(TERMS);
  delete filter.parent_id;
  return filter;
}

/**
 * Whole hours back from now, or the exact times of events: the ends of windows are where bugs are.
 */
function aWindow(random: Random, model: Model): Pick<Filter, 'since' | 'until'> {
  const times = model
    .live()
    .map((memory) => memory.time)
    .sort();
  if (times.length < 2 || random.chance(0.4)) {
    const until = random.int(0, HOURS_BACK / 2);
    const since = until + random.int(1, HOURS_BACK / 2);
    if (random.chance(0.5)) return { since: `${since}h` };
    return until === 0 ? { until: '1h' } : { since: `${since}h`, until: `${until}h` };
  }
  const [since = '', until = ''] = [random.pick(times), random.pick(times)].sort();
  if (random.chance(0.3) || since === until) return random.chance(0.5) ? { since } : { until };
  return { since, until };
}

export function describe(value: unknown): string {
  return JSON.stringify(value).slice(0, 400);
}

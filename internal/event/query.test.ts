import { describe, expect, test } from 'vitest';
import { Fault } from '../fault/fault.js';
import {
  decodeAgentsQuery,
  decodeDeletionQuery,
  decodeFilterQuery,
  decodeListQuery,
  decodeMemoriesFlag,
  decodeSearch,
  decodeSessionsQuery,
  type ListOptions,
  type QueryParams,
} from './query.js';

const NOW = Date.UTC(2026, 10, 21, 8, 15) * 1000;
const HOUR = 3_600_000_000;
const OPTIONS: ListOptions = { nowUs: NOW, scope: 'org_1 /memories' };

function params(query: string): QueryParams {
  const values = Object.create(null) as Record<string, string[]>;
  for (const [name, value] of new URLSearchParams(query)) {
    values[name] = [...(values[name] ?? []), value];
  }
  return values;
}

const list = (query: string, options = OPTIONS) => decodeListQuery(params(query), options);

function faultOf(run: () => unknown): Fault {
  try {
    run();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('was accepted');
}

describe('a list', () => {
  test('without parameters is everything, newest first', () => {
    expect(list('')).toMatchObject({ filter: {}, order: 'desc', limit: 100, offset: 0 });
    expect(list('').cursor).toBeUndefined();
  });

  test('takes every filter', () => {
    const query =
      'agent_id=a&session_id=s&memory_type=decision&event_type=error&tags=x,%20y.z&parent_id=mem_1' +
      '&min_importance=.5&since=2h&until=1h&limit=1000&offset=7&order=asc';
    expect(list(query)).toMatchObject({
      filter: {
        agentIds: ['a'],
        sessionId: 's',
        memoryTypes: ['decision'],
        eventTypes: ['error'],
        tags: ['x', 'y.z'],
        parentId: 'mem_1',
        minImportance: 0.5,
        sinceUs: NOW - 2 * HOUR,
        untilUs: NOW - HOUR,
      },
      order: 'asc',
      limit: 1000,
      offset: 7,
    });
  });

  test.each([
    ['agent_id', 'agent_id='],
    ['agent_id', 'agent_id=a*'],
    ['agent_id', 'agent_id=a&agent_id=b'],
    ['agentId', 'agentId=a'],
    ['agent', 'agent=a'],
    ['session_id', 'session_id=%00'],
    ['memory_type', 'memory_type=semantic'],
    ['event_type', 'event_type=a-b'],
    ['tags', 'tags=,'],
    ['tags', 'tags=a,'],
    ['tags', 'tags=a%25'],
    ['tags', `tags=${Array(33).fill('t')}`],
    ['parent_id', 'parent_id='],
    ['parent_id', 'parent_id=a%00'],
    ['parent_id', `parent_id=${'x'.repeat(129)}`],
    ['min_importance', 'min_importance=2'],
    ['min_importance', 'min_importance=0x1'],
    ['min_importance', 'min_importance=NaN'],
    ['min_importance', 'min_importance=-0.1'],
    ['since', 'since=yesterday'],
    ['since', 'since=1h&until=2h'],
    ['until', 'until='],
    ['limit', 'limit=0'],
    ['limit', 'limit=1001'],
    ['limit', 'limit=1e2'],
    ['limit', 'limit=-1'],
    ['limit', 'limit=10.0'],
    ['limit', 'limit=%205'],
    ['offset', 'offset=-1'],
    ['offset', 'offset=1.5'],
    ['offset', 'offset=99999999999'],
    ['offset', 'cursor=x&offset=1'],
    ['order', 'order=newest'],
    ['cursor', 'cursor='],
    ['cursor', `cursor=${'x'.repeat(1025)}`],
    ['__proto__', '__proto__=1'],
  ])('refuses %s in %s', (field, query) => {
    const fault = faultOf(() => list(query));
    expect(fault.status).toBe(400);
    expect(fault.details.field).toBe(field);
    expect(fault.message.length).toBeLessThan(1500);
  });

  test('suggests the name that was meant', () => {
    expect(faultOf(() => list('agentId=a')).details.hint).toBe('Did you mean agent_id?');
    expect(faultOf(() => list('sesion_id=a')).details.hint).toBe('Did you mean session_id?');
    expect(faultOf(() => list('zzzzzzzzz=a')).details.hint).toContain('parent_id');
  });

  test('of an agent does not take another one, and begins a day ago', () => {
    const options = { ...OPTIONS, fixed: 'agent_id', since: '24h' };
    expect(faultOf(() => list('agent_id=b', options)).details.field).toBe('agent_id');
    expect(list('', options).filter).toEqual({ sinceUs: NOW - 24 * HOUR });
    expect(list('since=1h', options).filter).toEqual({ sinceUs: NOW - HOUR });
  });

  test('with a cursor leaves its window to the cursor, however long ago the first page was', () => {
    const later = { ...OPTIONS, nowUs: NOW + 24 * HOUR };
    const request = list('since=1h&until=2026-11-21T09:00:00Z&cursor=abc&agent_id=a', later);
    expect(request.filter).toEqual({ agentIds: ['a'] });
    expect(request.cursor).toBe('abc');
  });
});

describe('the canonical request', () => {
  test('is the same for every page and every spelling of the order of parameters', () => {
    const one = list('agent_id=a&tags=x&since=1h&limit=5').canonical;
    const two = list('cursor=abc&since=1h&tags=x&order=desc&agent_id=a').canonical;
    expect(two).toBe(one);
    expect(list('agent_id=a&tags=x&since=1h', { ...OPTIONS, nowUs: NOW + 1 }).canonical).toBe(one);
  });

  test.each([
    ['agent_id=b&tags=x&since=1h'],
    ['agent_id=a&since=1h'],
    ['agent_id=a&tags=x&since=2h'],
    ['agent_id=a&tags=x&since=1h&order=asc'],
    ['agent_id=a&tags=x&since=1h&min_importance=0'],
  ])('is another one for %s', (query) => {
    expect(list(query).canonical).not.toBe(list('agent_id=a&tags=x&since=1h').canonical);
  });

  test('is another one for another organization or route', () => {
    const scope = 'org_2 /memories';
    expect(list('', { ...OPTIONS, scope }).canonical).not.toBe(list('').canonical);
  });
});

describe('a search', () => {
  const search = (body: unknown) => decodeSearch(body, OPTIONS);

  test('takes every filter', () => {
    const body = {
      agent_id: 'a',
      session_id: 's',
      memory_types: ['decision', 'entity'],
      event_types: ['e'],
      tags: ['x'],
      content_contains: '100% ÄÖΣ',
      min_importance: 0,
      since: '2h',
      until: 'now',
      limit: 7,
      order: 'asc',
    };
    expect(search(body)).toMatchObject({
      filter: {
        agentIds: ['a'],
        sessionId: 's',
        memoryTypes: ['decision', 'entity'],
        eventTypes: ['e'],
        tags: ['x'],
        contentContains: '100% äöσ',
        minImportance: 0,
        sinceUs: NOW - 2 * HOUR,
        untilUs: NOW,
      },
      order: 'asc',
      limit: 7,
      offset: 0,
    });
  });

  test('null and [] are absent', () => {
    const body = { agent_id: null, tags: [], memory_types: [], since: null, limit: null };
    expect(search(body)).toMatchObject({ filter: {}, limit: 50, order: 'desc' });
    expect(search({}).filter).toEqual({});
  });

  test.each([
    ['agent_id', { agent_id: '' }],
    ['agent_id', { agent_id: ['a'] }],
    ['agentid', { agentid: 'a' }],
    ['memory_type', { memory_type: 'decision' }],
    ['offset', { offset: 1 }],
    ['memory_types', { memory_types: 'decision' }],
    ['memory_types[1]', { memory_types: ['decision', 'x'] }],
    ['event_types[0]', { event_types: [''] }],
    ['event_types', { event_types: Array(101).fill('e') }],
    ['tags', { tags: 'a' }],
    ['tags[0]', { tags: ['a,b'] }],
    ['content_contains', { content_contains: '' }],
    ['content_contains', { content_contains: '\ud800' }],
    ['content_contains', { content_contains: 5 }],
    ['min_importance', { min_importance: '0.5' }],
    ['since', { since: '' }],
    ['since', { since: 3600 }],
    ['limit', { limit: '10' }],
    ['limit', { limit: 1.5 }],
    ['limit', { limit: 1001 }],
    ['order', { order: 'ASC' }],
    ['cursor', { cursor: '' }],
    ['body', []],
    ['body', null],
  ])('refuses %s in %j', (field, body) => {
    expect(faultOf(() => search(body)).details.field).toBe(field);
  });
});

describe('a deletion', () => {
  const deletion = (query: string) => decodeDeletionQuery(params(query), NOW);

  test('takes the filters of a list', () => {
    expect(deletion('session_id=s')).toEqual({ sessionId: 's' });
    expect(deletion('until=now')).toEqual({ untilUs: NOW });
    expect(decodeFilterQuery(params(''), NOW)).toEqual({});
  });

  test.each([
    ['query', ''],
    ['limit', 'agent_id=a&limit=5'],
    ['offset', 'agent_id=a&offset=5'],
    ['order', 'agent_id=a&order=asc'],
    ['cursor', 'agent_id=a&cursor=x'],
    ['agent_id', 'agent_id='],
    ['sesion_id', 'agent_id=a&sesion_id=s'],
    ['content_contains', 'content_contains=x'],
  ])('refuses %s in "%s"', (field, query) => {
    expect(faultOf(() => deletion(query)).details.field).toBe(field);
  });
});

describe('pages of agents and sessions', () => {
  test('have their filters', () => {
    expect(decodeAgentsQuery(params('limit=3&cursor=x'), 's')).toMatchObject({
      limit: 3,
      cursor: 'x',
    });
    const sessions = decodeSessionsQuery(params('agent_id=a&status=closed'), 's');
    expect(sessions).toMatchObject({ agentId: 'a', status: 'closed', limit: 100 });
    expect(sessions.canonical).not.toBe(decodeSessionsQuery(params(''), 's').canonical);
  });

  test.each([
    ['status', 'status=open'],
    ['status', 'status='],
    ['agent_id', 'agent_id=1'],
    ['limit', 'limit=0'],
    ['offset', 'offset=1'],
  ])('refuse %s in %s', (field, query) => {
    expect(faultOf(() => decodeSessionsQuery(params(query), 's')).details.field).toBe(field);
  });

  test('agents have none', () => {
    expect(faultOf(() => decodeAgentsQuery(params('agent_id=a'), 's')).details.field).toBe(
      'agent_id',
    );
  });
});

test('memories=true is the only yes', () => {
  expect(decodeMemoriesFlag({})).toBe(false);
  expect(decodeMemoriesFlag({ memories: ['true'] })).toBe(true);
  expect(decodeMemoriesFlag({ memories: ['false'] })).toBe(false);
  expect(faultOf(() => decodeMemoriesFlag({ memories: ['1'] })).details.field).toBe('memories');
  expect(faultOf(() => decodeMemoriesFlag({ memory: ['true'] })).details.field).toBe('memory');
});

import { describe, expect, test } from 'vitest';
import { Fault } from '../fault/fault.js';
import {
  decodeAgent,
  decodeContext,
  decodeKey,
  decodeRetention,
  decodeSession,
  decodeSessionPatch,
  mergeMetadata,
} from './requests.js';
import { DEFAULT_LIMITS } from './rules.js';

const NOW = Date.UTC(2026, 10, 21, 8, 15) * 1000;
const DAY = 86_400_000_000;

function fieldOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof Fault) return error.details.field;
    throw error;
  }
  throw new Error('was accepted');
}

describe('an agent', () => {
  const agent = (raw: unknown) => decodeAgent(raw, DEFAULT_LIMITS);

  test('is decoded', () => {
    expect(agent({ name: 'crawler_1', nope: 1 })).toEqual({
      name: 'crawler_1',
      description: '',
      configJson: '',
    });
    expect(agent({ name: 'a', description: 'é'.repeat(2048), config: { a: 1 } })).toMatchObject({
      description: 'é'.repeat(2048),
      configJson: '{"a":1}',
    });
  });

  test.each([
    ['body', []],
    ['name', {}],
    ['name', { name: '' }],
    ['name', { name: 'a b' }],
    ['description', { name: 'a', description: `${'é'.repeat(2048)}x` }],
    ['description', { name: 'a', description: '\0' }],
    ['description', { name: 'a', description: 1 }],
    ['config', { name: 'a', config: [] }],
    ['config.a', { name: 'a', config: { a: '\0' } }],
  ])('is refused at %s: %j', (field, raw) => {
    expect(fieldOf(() => agent(raw))).toBe(field);
  });
});

describe('a session', () => {
  test('is decoded', () => {
    expect(decodeSession({ agent_id: 'a', metadata: {} }, DEFAULT_LIMITS)).toEqual({
      agentId: 'a',
      metadataJson: '',
    });
    expect(fieldOf(() => decodeSession({}, DEFAULT_LIMITS))).toBe('agent_id');
    expect(fieldOf(() => decodeSession({ agent_id: 'a', metadata: 1 }, DEFAULT_LIMITS))).toBe(
      'metadata',
    );
  });

  test('is patched', () => {
    expect(decodeSessionPatch({})).toEqual({});
    expect(decodeSessionPatch({ status: null, metadata: null })).toEqual({});
    expect(decodeSessionPatch({ status: 'closed', metadata: { a: null } })).toEqual({
      status: 'closed',
      metadata: { a: null },
    });
  });

  test.each([
    ['status', { status: 'open' }],
    ['status', { status: '' }],
    ['status', { status: 1 }],
    ['metadata', { metadata: [] }],
    ['metadata.a', { metadata: { a: '\0' } }],
    ['metadata.__proto__', { metadata: JSON.parse('{"__proto__":null}') as unknown }],
  ])('is not patched at %s: %j', (field, raw) => {
    expect(fieldOf(() => decodeSessionPatch(raw))).toBe(field);
  });

  test.each([
    ['', { a: 1 }, '{"a":1}'],
    ['{"a":1,"b":{"c":2}}', { b: { d: null } }, '{"a":1,"b":{"d":null}}'],
    ['{"a":1,"b":2}', { a: null, x: null }, '{"b":2}'],
    ['{"a":1}', { a: null }, ''],
    ['{"a":1}', {}, '{"a":1}'],
    ['', { constructor: 1, toString: null }, '{"constructor":1}'],
  ])('metadata %s merged with %j is %s', (json, patch, merged) => {
    expect(mergeMetadata(json, patch, 1000)).toBe(merged);
  });

  test('the limit holds for the merged metadata', () => {
    expect(mergeMetadata('{"a":"xxxxx"}', { a: null, b: 'yyyyy' }, 13)).toBe('{"b":"yyyyy"}');
    expect(fieldOf(() => mergeMetadata('{"a":"xxxxx"}', { b: 'yyyyy' }, 13))).toBe('metadata');
  });
});

describe('a context', () => {
  test('has its defaults, also without a body', () => {
    const defaults = { sinceUs: NOW - DAY, maxTokens: 8000, maxMemories: 100 };
    for (const raw of [undefined, null, {}, { since: null, include_types: [], max_tokens: null }]) {
      expect(decodeContext(raw, NOW)).toEqual(defaults);
    }
  });

  test('takes what is sent', () => {
    const raw = { since: 'all', include_types: ['decision'], max_tokens: 64, max_memories: 1000 };
    expect(decodeContext(raw, NOW)).toEqual({
      includeTypes: ['decision'],
      maxTokens: 64,
      maxMemories: 1000,
    });
    const window = decodeContext({ since: '2026-11-01', until: '1h' }, NOW);
    expect(window.sinceUs).toBe(Date.UTC(2026, 10, 1) * 1000);
  });

  test.each([
    ['since', { since: '' }],
    ['since', { since: 'ALL' }],
    ['since', { since: '1h', until: '2h' }],
    ['until', { until: 'all' }],
    ['include_types[0]', { include_types: ['error'] }],
    ['include_types', { include_types: 'decision' }],
    ['max_tokens', { max_tokens: 63 }],
    ['max_tokens', { max_tokens: 200_001 }],
    ['max_tokens', { max_tokens: '100' }],
    ['max_memories', { max_memories: 0 }],
    ['max_memories', { max_memories: 1.5 }],
    ['body', 'x'],
  ])('is refused at %s: %j', (field, raw) => {
    expect(fieldOf(() => decodeContext(raw, NOW))).toBe(field);
  });
});

describe('a key', () => {
  test('is decoded', () => {
    expect(decodeKey({ name: 'ci' }, NOW)).toEqual({
      name: 'ci',
      permissions: ['read', 'write'],
      expiresUs: null,
    });
    const raw = { name: 'ci', permissions: ['admin', 'admin'], expires_at: '2026-11-22T08:15:00Z' };
    expect(decodeKey(raw, NOW)).toEqual({
      name: 'ci',
      permissions: ['admin'],
      expiresUs: NOW + DAY,
    });
  });

  test.each([
    ['name', {}],
    ['name', { name: '' }],
    ['name', { name: 'x'.repeat(129) }],
    ['name', { name: '\0' }],
    ['permissions', { name: 'a', permissions: [] }],
    ['permissions', { name: 'a', permissions: 'read' }],
    ['permissions[1]', { name: 'a', permissions: ['read', 'root'] }],
    ['expires_at', { name: 'a', expires_at: '2026-11-21T08:15:00Z' }],
    ['expires_at', { name: 'a', expires_at: '' }],
  ])('is refused at %s: %j', (field, raw) => {
    expect(fieldOf(() => decodeKey(raw, NOW))).toBe(field);
  });
});

test('retention', () => {
  expect(decodeRetention({ days: 1 })).toBe(1);
  expect(decodeRetention({ days: 36_500 })).toBe(36_500);
  expect(decodeRetention({ days: null })).toBeNull();
  for (const raw of [{}, { days: 0 }, { days: 36_501 }, { days: '30' }, { days: 1.5 }]) {
    expect(fieldOf(() => decodeRetention(raw))).toBe('days');
  }
});

import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { US_PER_DAY } from '../base/clock.js';
import { Fault } from '../fault/fault.js';
import { type DecodeContext, decodeMemory, withId } from './decode.js';
import { DEFAULT_LIMITS } from './rules.js';

const NOW = Date.UTC(2026, 10, 21, 8, 15) * 1000;
const CONTEXT: DecodeContext = {
  orgId: 'org_1',
  nowUs: NOW,
  floorUs: null,
  limits: DEFAULT_LIMITS,
  dedup: { enabled: true, contentBytes: 0 },
};
const LEAST = { agent_id: 'a', content: 'hello' };

/** JSON.parse, as the server does: only so `__proto__` is a key. */
function sent(members: string): unknown {
  return JSON.parse(`{"agent_id":"a","content":"hello",${members}}`);
}

function faultOf(run: () => unknown): Fault {
  try {
    run();
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('was accepted');
}

function sha(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

test('the least memory gets its defaults', () => {
  expect(decodeMemory(LEAST, CONTEXT)).toEqual({
    timeUs: NOW,
    orgId: 'org_1',
    agentId: 'a',
    sessionId: '',
    memoryType: 'episodic',
    eventType: 'general',
    content: 'hello',
    metadataJson: '',
    tagsCsv: '',
    dedupKey: sha('a||general|hello'),
    importance: 0,
    parentId: '',
    ingestedUs: NOW,
    expiresUs: null,
    id: '',
  });
});

test('everything that can be sent arrives', () => {
  const draft = decodeMemory(
    {
      agent_id: 'crawler-1',
      session_id: 'sess_1',
      memory_type: 'decision',
      event_type: 'error',
      content: 'Ünï\n\u001b[0m\tcode 😀',
      metadata: { a: { b: [1, null, 'x', true] } },
      tags: ['b.c', 'a-1'],
      importance: 0.25,
      dedup_key: 'mine',
      parent_id: 'mem_x',
      time: '2026-11-20T10:00:00.1234567+02:00',
      ttl: '90d',
    },
    CONTEXT,
  );
  expect(draft).toMatchObject({
    sessionId: 'sess_1',
    memoryType: 'decision',
    eventType: 'error',
    content: 'Ünï\n\u001b[0m\tcode 😀',
    metadataJson: '{"a":{"b":[1,null,"x",true]}}',
    tagsCsv: 'b.c,a-1',
    importance: 0.25,
    dedupKey: 'mine',
    id: '',
    parentId: 'mem_x',
    timeUs: Date.UTC(2026, 10, 20, 8) * 1000 + 123_456,
    expiresUs: NOW + 90 * US_PER_DAY,
  });
});

test('null is absent for every optional member, and so are "" ids, {} and []', () => {
  const least = decodeMemory(LEAST, CONTEXT);
  const nulls: Record<string, unknown> = { ...LEAST };
  for (const name of [
    ...['session_id', 'memory_type', 'event_type', 'metadata', 'tags', 'importance'],
    ...['dedup_key', 'parent_id', 'time', 'ttl', 'expires_at'],
  ]) {
    nulls[name] = null;
  }
  expect(decodeMemory(nulls, CONTEXT)).toEqual(least);
  const empty = { session_id: '', parent_id: '', dedup_key: '', metadata: {}, tags: [] };
  expect(decodeMemory({ ...LEAST, ...empty }, CONTEXT)).toEqual(least);
  const types = { memory_type: '', event_type: '' };
  expect(decodeMemory({ ...LEAST, ...types }, CONTEXT)).toEqual(least);
});

test('what only the server decides is ignored, and so are unknown members', () => {
  const raw = sent(
    '"id":"mem_x","org_id":"org_2","ingested_at":"2020-01-01T00:00:00Z","nope":[[]],"__proto__":{"ttl":"1s"}',
  );
  expect(decodeMemory(raw, CONTEXT)).toEqual(decodeMemory(LEAST, CONTEXT));
});

const LONG_ID = `a${'b'.repeat(128)}`;
const NESTED = `${'{"a":'.repeat(16)}{}${'}'.repeat(16)}`;
const DEEPEST = `${'{"a":'.repeat(15)}{}${'}'.repeat(15)}`;

describe('is refused, naming the field', () => {
  test.each([
    ['agent_id', '"agent_id":null', 'agent_id is required.'],
    ['agent_id', '"agent_id":""', /^agent_id must be 1 to 128/],
    ['agent_id', '"agent_id":"1a"', /begin with a letter\.$/],
    ['agent_id', '"agent_id":"a\\n"', /^agent_id must/],
    ['agent_id', `"agent_id":"${LONG_ID}"`, /^agent_id must/],
    ['agent_id', '"agent_id":7', /^agent_id must/],
    ['session_id', '"session_id":"a b"', /^session_id must/],
    ['memory_type', '"memory_type":"semantic"', /^memory_type must be one of "episodic"/],
    ['event_type', '"event_type":"a-b"', /^event_type must be 1 to 64/],
    ['event_type', `"event_type":"${'e'.repeat(65)}"`, /^event_type must/],
    ['content', '"content":null', 'content is required.'],
    ['content', '"content":""', 'content must not be empty.'],
    ['content', '"content":["x"]', 'content must be a string.'],
    ['content', '"content":"a\\u0000b"', /NUL/],
    ['content', '"content":"\\ud83d"', /surrogates/],
    ['content', '"content":"x\\udc00y"', /surrogates/],
    ['metadata', '"metadata":[]', 'metadata must be a JSON object.'],
    ['metadata', '"metadata":"{}"', 'metadata must be a JSON object.'],
    ['metadata.a.b', '"metadata":{"a":{"b":"\\u0000"}}', /^metadata\.a\.b must not contain NUL/],
    ['metadata.a[1].b', '"metadata":{"a":[0,{"b":"\\ud800"}]}', /^metadata\.a\[1\]\.b/],
    ['metadata["x y"]', '"metadata":{"x y":9007199254740992}', /2\^53/],
    ['metadata.n', '"metadata":{"n":-9007199254740993}', /2\^53/],
    ['metadata.n', '"metadata":{"n":1e999}', /too large/],
    ['metadata["\\u0000"]', '"metadata":{"\\u0000":1}', /NUL/],
    ['metadata.__proto__', '"metadata":{"__proto__":1}', /not allowed as a key/],
    ['metadata.a.__proto__', '"metadata":{"a":{"__proto__":{}}}', /not allowed as a key/],
    [`metadata${'.a'.repeat(16)}`, `"metadata":${NESTED}`, /deeper than 16/],
    ['tags', '"tags":"a,b"', 'tags must be a list of strings.'],
    ['tags', `"tags":[${Array(33).fill('"t"')}]`, 'tags must be at most 32.'],
    ['tags[1]', '"tags":["a","b,c"]', /^tags\[1\] must be 1 to 64/],
    ['tags[0]', '"tags":[null]', /^tags\[0\] must/],
    ['importance', '"importance":1.01', /^importance must be a number from 0 to 1/],
    ['importance', '"importance":-1', /^importance must/],
    ['importance', '"importance":"0.5"', /^importance must/],
    ['dedup_key', `"dedup_key":"${'k'.repeat(129)}"`, /at most 128 characters/],
    ['dedup_key', '"dedup_key":1', /^dedup_key must be a string/],
    ['parent_id', '"parent_id":"\\u0000"', /^parent_id must not contain NUL/],
    ['time', '"time":""', /^time must be an RFC 3339 time/],
    ['time', '"time":"2026-11-21"', /^time must/],
    ['time', '"time":1795000000', /^time must/],
    ['time', '"time":"2026-02-30T00:00:00Z"', /^time must/],
    ['time', '"time":"1969-12-31T23:59:59.999Z"', /^time must/],
    ['time', '"time":"2026-11-21T08:20:00.000001Z"', /more than 5 minutes in the future/],
    ['ttl', '"ttl":"0d"', /^ttl must be a duration/],
    ['ttl', '"ttl":"1y"', /^ttl must be a duration/],
    ['ttl', '"ttl":"999999999999999w"', /^ttl must/],
    ['ttl', '"ttl":"7900000d"', /^ttl must/],
    ['ttl', '"ttl":"1d","expires_at":"2027-01-01T00:00:00Z"', /exclude each other/],
    ['expires_at', '"expires_at":"2026-11-21T08:15:00Z"', 'expires_at must be in the future.'],
    ['expires_at', '"expires_at":"+292277-01-01T00:00:00Z"', /^expires_at must/],
  ])('%s', (field, members, message) => {
    const fault = faultOf(() => decodeMemory(sent(members), CONTEXT));
    expect(fault.code).toBe('invalid_field');
    expect(fault.details.field).toBe(field);
    expect(fault.message).toMatch(message);
    const item = faultOf(() => decodeMemory(sent(members), CONTEXT, 'memories[3]'));
    expect(item.details.field).toBe(`memories[3].${field}`);
    expect(item.message).toContain(`memories[3].${field} `);
  });

  test.each([[null], ['x'], [[]], [7], [undefined]])('a memory that is %j', (raw) => {
    expect(faultOf(() => decodeMemory(raw, CONTEXT)).details.field).toBe('body');
    expect(faultOf(() => decodeMemory(raw, CONTEXT, 'memories[0]')).details.field).toBe(
      'memories[0]',
    );
  });
});

describe('limits hold to the byte', () => {
  test('content', () => {
    const context = { ...CONTEXT, limits: { contentBytes: 10, metadataBytes: 20 } };
    const ok = ['x'.repeat(10), 'é'.repeat(5), '漢漢漢x', '😀😀ab'];
    for (const content of ok) {
      expect(decodeMemory({ agent_id: 'a', content }, context).content).toBe(content);
      const longer = { agent_id: 'a', content: `${content}.` };
      expect(faultOf(() => decodeMemory(longer, context)).details.field).toBe('content');
    }
  });

  test('metadata, counted as JSON', () => {
    const context = { ...CONTEXT, limits: { contentBytes: 10, metadataBytes: 20 } };
    const fits = { ...LEAST, metadata: { k: 'é'.repeat(6) } };
    expect(decodeMemory(fits, context).metadataJson).toBe('{"k":"éééééé"}');
    const longer = { ...LEAST, metadata: { k: `${'é'.repeat(6)}x` } };
    expect(faultOf(() => decodeMemory(longer, context)).details.field).toBe('metadata');
  });

  test('depth: the outer object is 1, the 16th is the last', () => {
    expect(decodeMemory(sent(`"metadata":${DEEPEST}`), CONTEXT).metadataJson).toBe(DEEPEST);
    const bomb = sent(`"metadata":{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`);
    expect(faultOf(() => decodeMemory(bomb, CONTEXT)).message).toMatch(/deeper than 16/);
  });

  test('keys count characters, not UTF-16 units', () => {
    const key = '😀'.repeat(128);
    expect(decodeMemory({ ...LEAST, dedup_key: key }, CONTEXT).dedupKey).toBe(key);
    const longer = { ...LEAST, dedup_key: `${key}x` };
    expect(faultOf(() => decodeMemory(longer, CONTEXT)).details.field).toBe('dedup_key');
  });

  test('ids, tags, integers and the clock at their last value', () => {
    const raw = {
      agent_id: LONG_ID.slice(0, 128),
      content: 'x',
      tags: Array(32).fill('t'.repeat(64)),
      metadata: { n: 9_007_199_254_740_991, m: -9_007_199_254_740_991 },
      importance: 1,
      time: '2026-11-21T08:20:00Z',
    };
    expect(decodeMemory(raw, CONTEXT).timeUs).toBe(NOW + 300_000_000);
    expect(decodeMemory({ ...LEAST, importance: -0 }, CONTEXT).importance).toBe(0);
    expect(Object.is(decodeMemory({ ...LEAST, importance: -0 }, CONTEXT).importance, 0)).toBe(true);
  });

  test('the retention', () => {
    const context = { ...CONTEXT, floorUs: NOW - US_PER_DAY };
    const at = (time: string) => () => decodeMemory({ ...LEAST, time }, context);
    expect(at('2026-11-20T08:15:00Z')().timeUs).toBe(context.floorUs);
    expect(faultOf(at('2026-11-20T08:14:59.999999Z')).message).toMatch(/retention/);
  });
});

describe('the computed deduplication key', () => {
  test('takes agent, session, event type, content, and the time if it was sent', () => {
    const raw = { ...LEAST, session_id: 's', event_type: 'e' };
    expect(decodeMemory(raw, CONTEXT).dedupKey).toBe(sha('a|s|e|hello'));
    const timed = { ...raw, time: '2026-11-21T09:00:00+01:00' };
    expect(decodeMemory(timed, CONTEXT).dedupKey).toBe(
      sha('a|s|e|hello|2026-11-21T08:00:00.000000Z'),
    );
  });

  test('can take only the first bytes of the content', () => {
    const context = { ...CONTEXT, dedup: { enabled: true, contentBytes: 4 } };
    const keyOf = (content: string) => decodeMemory({ agent_id: 'a', content }, context).dedupKey;
    expect(keyOf('hell')).toBe(sha('a||general|hell'));
    expect(keyOf('hello')).toBe(keyOf('help!'.replace('p!', 'lx')));
    const cut = Buffer.concat([Buffer.from('a||general|x漢'), Buffer.alloc(0)]);
    expect(keyOf('x漢字')).toBe(sha(cut));
  });

  test('is not there if turned off; the own one still is', () => {
    const context = { ...CONTEXT, dedup: { enabled: false, contentBytes: 0 } };
    expect(decodeMemory(LEAST, context)).toMatchObject({ dedupKey: '' });
    const own = { ...LEAST, dedup_key: 'k' };
    expect(decodeMemory(own, context)).toMatchObject({ dedupKey: 'k' });
  });
});

test('whatever is sent, it is an event or a fault that names a field', () => {
  const raw = fc.record(
    {
      agent_id: fc.oneof(fc.constant('a'), fc.anything()),
      content: fc.oneof(fc.string({ unit: 'binary' }), fc.anything()),
      metadata: fc.oneof(fc.jsonValue(), fc.anything()),
      tags: fc.oneof(fc.array(fc.string()), fc.anything()),
      time: fc.anything(),
      importance: fc.anything(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(raw, (value) => {
      // Through JSON, as everything that is decoded came through it.
      const json = JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? 7 : part));
      try {
        const event = withId(decodeMemory(JSON.parse(json), CONTEXT), 'mem_1');
        expect(Object.keys(event)).toHaveLength(15);
      } catch (error) {
        expect(error).toBeInstanceOf(Fault);
        expect((error as Fault).details.field).toBeTruthy();
      }
    }),
  );
});

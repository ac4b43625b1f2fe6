import { type TSchema, Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fault } from '../fault/fault.js';
import { ANSWERS } from './answers.js';
import { type DecodeContext, decodeMemory, withId } from './decode.js';
import { memoryJson } from './json.js';
import { decodeSearch } from './query.js';
import {
  decodeAgent,
  decodeContext,
  decodeKey,
  decodeRetention,
  decodeSession,
  decodeSessionPatch,
} from './requests.js';
import { DEFAULT_LIMITS } from './rules.js';
import { type JsonSchema, QUERY_PARAMETERS, requestSchemas } from './schema.js';

const NOW = Date.UTC(2026, 10, 21, 8, 15) * 1000;
const REQUESTS = requestSchemas(DEFAULT_LIMITS, 1000);
const CONTEXT: DecodeContext = {
  orgId: 'org_1',
  nowUs: NOW,
  floorUs: null,
  limits: DEFAULT_LIMITS,
  dedup: { enabled: true, contentBytes: 0 },
};

/** The schema for an independent validator, which has a notation of its own. */
function typeBox(schema: JsonSchema): TSchema {
  if (Array.isArray(schema.type)) {
    const types = schema.type.map((type: unknown) => typeBox({ ...schema, type }));
    return Type.Union(types);
  }
  const { description: _, format: __, ...rules } = schema;
  if (schema.type === 'null') return Type.Null();
  if (Array.isArray(schema.enum)) {
    return Type.Union(schema.enum.filter((v) => v !== null).map((v: string) => Type.Literal(v)));
  }
  if (schema.type === 'string') return Type.String(rules);
  if (schema.type === 'number') return Type.Number(rules);
  if (schema.type === 'integer') return Type.Integer(rules);
  if (schema.type === 'array') return Type.Array(typeBox(schema.items as JsonSchema), rules);
  if (schema.type !== 'object') throw new Error(`no type: ${JSON.stringify(schema)}`);
  const required = (schema.required ?? []) as string[];
  const properties = Object.entries((schema.properties ?? {}) as Record<string, JsonSchema>);
  const members = properties.map(([name, member]) => {
    const type = typeBox(member);
    return [name, required.includes(name) ? type : Type.Optional(type)] as const;
  });
  const { additionalProperties } = schema;
  const more = typeof additionalProperties === 'boolean' ? { additionalProperties } : {};
  return Type.Object(Object.fromEntries(members), more);
}

/** Values on both sides of the rules of the wire contract; each rule that a schema can tell. */
const VALUES = fc.oneof(
  fc.constantFrom<unknown>(null, '', 'a', 'a-b', '1a', 'a b', 0, 1, 0.5, -1, 2, 63, 64, 1001, true),
  fc.constantFrom<unknown>([], {}, ['a'], ['a,b'], [null], ['decision'], ['read'], { a: [1] }),
  fc.constantFrom('decision', 'semantic', 'closed', 'asc', 'all', 'now', '24h', '90d', '1y', '24H'),
  fc.constantFrom('2026-11-22T08:15:00Z', '2026-11-21', '2026-11-20T08:15:00.5+01:00', '26-11-21'),
  fc.constantFrom('x'.repeat(128), 'x'.repeat(129), Array(32).fill('t'), Array(33).fill('t')),
);

/** What a schema cannot tell, so that such inputs are left out of the comparison. */
const BEYOND = /in the future|exclude each other|must be before|retention/;

function verdict(decode: (raw: unknown) => unknown, raw: unknown): string {
  try {
    decode(raw);
    return 'valid';
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return error.message;
  }
}

const DECODERS: [string, (raw: unknown) => unknown][] = [
  ['MemoryInput', (raw) => decodeMemory(raw, CONTEXT)],
  ['SearchInput', (raw) => decodeSearch(raw, { nowUs: NOW, scope: '' })],
  ['AgentInput', (raw) => decodeAgent(raw, DEFAULT_LIMITS)],
  ['SessionInput', (raw) => decodeSession(raw, DEFAULT_LIMITS)],
  ['SessionPatch', (raw) => decodeSessionPatch(raw)],
  ['ContextInput', (raw) => decodeContext(raw, NOW)],
  ['KeyInput', (raw) => decodeKey(raw, NOW)],
  ['RetentionInput', (raw) => decodeRetention(raw)],
];

describe('the published schema and the decoder judge alike', () => {
  test.each(DECODERS)('%s', (name, decode) => {
    const schema = REQUESTS[name];
    const check = TypeCompiler.Compile(typeBox(schema));
    const names = Object.keys(schema.properties as object);
    const member = fc.tuple(fc.constantFrom(...names, 'unknown'), VALUES);
    const base = { agent_id: 'a', content: 'x', name: 'a', days: 1 };
    const required = (schema.required ?? []) as (keyof typeof base)[];
    const valid = Object.fromEntries(required.map((key) => [key, base[key]]));
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(member, { maxLength: 3 }), (members) => {
        const raw = { ...valid, ...Object.fromEntries(members) };
        const said = verdict(decode, raw);
        if (BEYOND.test(said)) return;
        if (said === 'valid') accepted += 1;
        expect(check.Check(raw), `${said} ${JSON.stringify(raw)}`).toBe(said === 'valid');
      }),
      { numRuns: 1000 },
    );
    expect(accepted).toBeGreaterThan(50);
  });
});

test('an answer is what its schema says', () => {
  const raw = { agent_id: 'a', content: 'x', tags: ['t'], metadata: { a: 1 }, ttl: '1d' };
  const event = withId(decodeMemory(raw, CONTEXT), 'mem_01ARYZ6S41TSV4RRFFQ69G5FAV');
  const check = TypeCompiler.Compile(typeBox(ANSWERS.Memory));
  const answer = JSON.parse(memoryJson(event)) as object;
  expect(check.Check(answer)).toBe(true);
  const properties = Object.keys(ANSWERS.Memory.properties as object);
  expect(Object.keys(answer).every((name) => properties.includes(name))).toBe(true);
});

test('references lead somewhere, and every required member exists', () => {
  const all = { ...REQUESTS, ...ANSWERS };
  for (const [, name] of JSON.stringify(all).matchAll(/#\/components\/schemas\/(\w+)/g)) {
    expect(Object.keys(all)).toContain(name);
  }
  for (const schema of Object.values(all)) {
    const properties = Object.keys((schema.properties ?? {}) as object);
    for (const name of (schema.required ?? []) as string[]) expect(properties).toContain(name);
  }
  expect(Object.keys(QUERY_PARAMETERS)).toContain('cursor');
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TextBuffer } from '../base/text-buffer.js';
import { COLUMNS } from './columns.js';
import { type DecodeContext, decodeMemory, withId } from './decode.js';
import type { Event } from './event.js';
import { memoryJson, parseRowLine, rowLine } from './json.js';
import { writeMemory, writeRowLine } from './rowlines.js';
import { DEFAULT_LIMITS } from './rules.js';

const NOW = Date.UTC(2026, 10, 21, 8, 15) * 1000;
const ID = 'mem_01ARYZ6S41TSV4RRFFQ69G5FAV';
const CONTEXT: DecodeContext = {
  orgId: 'org_1',
  nowUs: NOW,
  floorUs: null,
  limits: DEFAULT_LIMITS,
  dedup: { enabled: true, contentBytes: 0 },
};

const LEAST: Event = {
  timeUs: NOW + 1,
  id: ID,
  orgId: 'org_1',
  agentId: 'a',
  sessionId: '',
  memoryType: 'episodic',
  eventType: 'general',
  content: 'x',
  metadataJson: '',
  tagsCsv: '',
  dedupKey: '',
  importance: 0,
  parentId: '',
  ingestedUs: NOW,
  expiresUs: null,
};

const FULL: Event = {
  ...LEAST,
  sessionId: 's',
  content: 'a "b"\n\u2028😀\u0001',
  metadataJson: '{"k":"\\"\\n"}',
  tagsCsv: 'a,b.c',
  dedupKey: '"quoted" \\ 漢',
  importance: 0.1,
  parentId: 'p\n',
  expiresUs: NOW + 5_000_000,
};

describe('an answer', () => {
  test('leaves out what is empty, never the importance', () => {
    expect(memoryJson(LEAST)).toBe(
      `{"id":"${ID}","org_id":"org_1","agent_id":"a","memory_type":"episodic","event_type":"general","content":"x","importance":0,"time":"2026-11-21T08:15:00.000001Z","ingested_at":"2026-11-21T08:15:00.000000Z"}`,
    );
  });

  test('holds everything else', () => {
    expect(JSON.parse(memoryJson(FULL))).toEqual({
      id: ID,
      org_id: 'org_1',
      agent_id: 'a',
      session_id: 's',
      memory_type: 'episodic',
      event_type: 'general',
      content: FULL.content,
      metadata: { k: '"\n' },
      tags: ['a', 'b.c'],
      importance: 0.1,
      dedup_key: FULL.dedupKey,
      parent_id: 'p\n',
      time: '2026-11-21T08:15:00.000001Z',
      ingested_at: '2026-11-21T08:15:00.000000Z',
      expires_at: '2026-11-21T08:15:05.000000Z',
    });
  });
});

describe('a row line', () => {
  test('has the stored columns in their order, on one line', () => {
    for (const event of [LEAST, FULL]) {
      const line = rowLine(event);
      expect(line).not.toMatch(/[\r\n]/);
      expect(Object.keys(JSON.parse(line))).toEqual(COLUMNS.map((column) => column.name));
      expect(parseRowLine(line)).toEqual(event);
    }
  });

  test('and an answer are written as the bytes of their texts', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), fc.string(), (contents, text) => {
        const buffer = new TextBuffer();
        buffer.text(text);
        let expected = text;
        for (const content of contents.filter((one) => !/\p{Surrogate}/u.test(one))) {
          const event = { ...FULL, content };
          writeRowLine(buffer, { event, content: JSON.stringify(content) });
          writeMemory(buffer, { event, content: JSON.stringify(content) });
          expected += `${rowLine(event)}\n${memoryJson(event)}`;
        }
        expect(buffer.take().toString('utf8')).toBe(Buffer.from(expected).toString('utf8'));
        expect(buffer.length).toBe(0);
      }),
    );
  });
});

/** Memories that a client could send; any text but NUL and lone surrogates. */
const TEXT = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 100 })
  .filter((text) => !text.includes('\0') && !/\p{Surrogate}/u.test(text));
const NAME = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9_-]{0,20}$/);
const METADATA = fc
  .dictionary(TEXT, fc.oneof(TEXT, fc.integer(), fc.boolean(), fc.constant(null), fc.array(TEXT)))
  .filter((value) => !Object.hasOwn(value, '__proto__'));
const SENT = fc.record(
  {
    agent_id: NAME,
    session_id: NAME,
    content: TEXT,
    metadata: METADATA,
    tags: fc.array(fc.stringMatching(/^[a-zA-Z0-9_.-]{1,64}$/), { maxLength: 32 }),
    importance: fc.double({ min: 0, max: 1, noNaN: true }),
    dedup_key: fc.string({ unit: 'grapheme-ascii', minLength: 1 }),
    parent_id: fc.string({ unit: 'grapheme-ascii', minLength: 1 }),
  },
  { requiredKeys: ['agent_id', 'content'] },
);

function clientJson(value: unknown): Record<string, unknown> {
  return JSON.parse(JSON.stringify(value)) as Record<string, unknown>;
}

test('what was decoded survives a row line', () => {
  fc.assert(
    fc.property(SENT, (sent) => {
      const event = withId(decodeMemory(clientJson(sent), CONTEXT), ID);
      expect(parseRowLine(rowLine(event))).toEqual(event);
    }),
  );
});

test('an answer carries what was sent', () => {
  fc.assert(
    fc.property(SENT, (sent) => {
      const raw = clientJson(sent);
      const event = withId(decodeMemory(raw, CONTEXT), ID);
      const answer = JSON.parse(memoryJson(event)) as Record<string, unknown>;
      for (const [name, value] of Object.entries(raw)) {
        const empty = JSON.stringify(value) === '{}' || JSON.stringify(value) === '[]';
        expect(answer[name]).toEqual(empty ? undefined : value);
      }
    }),
  );
});

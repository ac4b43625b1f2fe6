import { MEMORY_TYPES } from './event.js';
import {
  CONTEXT_MEMORIES,
  CONTEXT_SINCE,
  CONTEXT_TOKENS,
  DESCRIPTION_BYTES_MAX,
  EVENT_TYPE_RULE,
  EVENT_TYPES_MAX,
  type EventLimits,
  KEY_LENGTH_MAX,
  KEY_NAME_LENGTH_MAX,
  LIMIT_MAX,
  LIST_LIMIT,
  METADATA_DEPTH_MAX,
  NAME_RULE,
  OFFSET_MAX,
  PERMISSIONS,
  RETENTION_DAYS_MAX,
  SEARCH_LIMIT,
  SESSION_STATUSES,
  TAG_RULE,
  TAGS_MAX,
} from './rules.js';
import { DATE_PATTERN, RFC3339_PATTERN, SPAN_PATTERN } from './window.js';

/**
 * A JSON Schema (2020-12, as OpenAPI 3.1 has it). The schemas of this file and of answers.ts are
 * the published form of the wire contract; the decoders read the same rules, and a test holds that
 * both judge alike.
 */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** The same schema, and null, which is absent. */
export function nullable(schema: JsonSchema): JsonSchema {
  const { type, enum: values } = schema;
  if (values !== undefined)
    return { ...schema, type: [type, 'null'], enum: [...(values as []), null] };
  return { ...schema, type: [type, 'null'] };
}

function text(description: string, more: JsonSchema = {}): JsonSchema {
  return { type: 'string', ...more, description };
}

function named(pattern: string, description: string, example: string): JsonSchema {
  return text(description, { pattern, examples: [example] });
}

/** Or '', which is absent. */
function orEmpty(pattern: string): string {
  return `^(?:${pattern.slice(1, -1)})?$`;
}

function whole(minimum: number, maximum: number, more: JsonSchema): JsonSchema {
  return { type: 'integer', minimum, maximum, ...more };
}

const AGENT_ID = named(NAME_RULE.pattern, 'The agent; it need not be registered.', 'crawler_1');
const SESSION_ID = named(NAME_RULE.pattern, 'The session; it need not be registered.', 'sess_42');
const EVENT_TYPE = named(
  EVENT_TYPE_RULE.pattern,
  'What happened, in your own words; "error" counts as an error in contexts and statistics.',
  'page_crawled',
);
const MEMORY_TYPE = text('What kind of memory it is.', { enum: MEMORY_TYPES });
const TAG = { type: 'string', pattern: TAG_RULE.pattern, examples: ['shop.example'] };
const IMPORTANCE = { type: 'number', minimum: 0, maximum: 1 };
const MEMORY_KEY = { maxLength: KEY_LENGTH_MAX };
const ORDER = text('Newest first (desc) or oldest first (asc).', {
  enum: ['desc', 'asc'],
  default: 'desc',
});
const CURSOR = text('next_cursor of the page before, with the same filters and order.', {
  minLength: 1,
});
const LIMIT = 'How many a page holds at most.';
const TIME = { format: 'date-time', pattern: RFC3339_PATTERN };
const TIME_VALUE = {
  pattern: `(?:^now$)|(?:${SPAN_PATTERN})|(?:${DATE_PATTERN})|(?:${RFC3339_PATTERN})`,
  examples: ['24h', '2026-11-21', '2026-11-21T08:15:00Z', 'now'],
};
const SINCE = text('Only from this time on: a span back from now, a date or a time.', TIME_VALUE);
const UNTIL = text('Only before this time.', TIME_VALUE);

function freeform(description: string, limits: EventLimits): JsonSchema {
  const size = `At most ${limits.metadataBytes} bytes as JSON, ${METADATA_DEPTH_MAX} levels deep`;
  return {
    type: 'object',
    additionalProperties: true,
    description: `${description} ${size}, integers within ±(2^53 − 1), no key "__proto__".`,
  };
}

function memoryProperties(limits: EventLimits): Record<string, JsonSchema> {
  const { contentBytes } = limits;
  return {
    agent_id: AGENT_ID,
    session_id: nullable({ ...SESSION_ID, pattern: orEmpty(NAME_RULE.pattern) }),
    memory_type: nullable({ ...MEMORY_TYPE, enum: [...MEMORY_TYPES, ''], default: 'episodic' }),
    event_type: nullable({
      ...EVENT_TYPE,
      pattern: orEmpty(EVENT_TYPE_RULE.pattern),
      default: 'general',
    }),
    content: text(`The memory itself; at most ${contentBytes} bytes of UTF-8, without NUL.`, {
      minLength: 1,
      maxLength: contentBytes,
      examples: ['Crawled https://example.com and found 3 product pages'],
    }),
    metadata: nullable(freeform('Anything else about it, as JSON.', limits)),
    tags: nullable({ type: 'array', items: TAG, maxItems: TAGS_MAX }),
    importance: nullable({ ...IMPORTANCE, default: 0 }),
    dedup_key: nullable(text('Equal keys within the window are one memory.', MEMORY_KEY)),
    parent_id: nullable(text('Another memory that this one follows.', MEMORY_KEY)),
    time: nullable(text('When it happened; now if left out.', TIME)),
    ttl: nullable(
      text('How long it lives. Not together with expires_at.', {
        pattern: SPAN_PATTERN,
        examples: ['90d'],
      }),
    ),
    expires_at: nullable(text('When it vanishes.', TIME)),
  };
}

/** The bodies of requests, by their name in the OpenAPI document. */
export function requestSchemas(
  limits: EventLimits,
  batchItems: number,
): Record<string, JsonSchema> {
  const metadata = nullable(freeform('Anything about it, as JSON.', limits));
  return {
    MemoryInput: {
      type: 'object',
      description: 'A memory to store. Unknown members are ignored.',
      properties: memoryProperties(limits),
      required: ['agent_id', 'content'],
    },
    MemoryBatchInput: {
      type: 'object',
      description: 'Memories to store, all or none.',
      properties: {
        memories: {
          type: 'array',
          items: { $ref: '#/components/schemas/MemoryInput' },
          minItems: 1,
          maxItems: batchItems,
        },
      },
      required: ['memories'],
    },
    SearchInput: SEARCH_INPUT,
    AgentInput: {
      type: 'object',
      properties: {
        name: named(NAME_RULE.pattern, 'Unique within the organization.', 'crawler_1'),
        description: nullable(
          text(`At most ${DESCRIPTION_BYTES_MAX} bytes of UTF-8.`, {
            maxLength: DESCRIPTION_BYTES_MAX,
          }),
        ),
        config: metadata,
      },
      required: ['name'],
    },
    SessionInput: {
      type: 'object',
      properties: { agent_id: AGENT_ID, metadata },
      required: ['agent_id'],
    },
    SessionPatch: {
      type: 'object',
      description: 'What changes; metadata is merged key by key, and null deletes a key.',
      properties: { status: nullable(text('', { enum: SESSION_STATUSES })), metadata },
    },
    ContextInput: CONTEXT_INPUT,
    KeyInput: KEY_INPUT,
    RetentionInput: {
      type: 'object',
      properties: {
        days: {
          type: ['integer', 'null'],
          minimum: 1,
          maximum: RETENTION_DAYS_MAX,
          description: 'Memories older than this are removed; null is the default of the server.',
        },
      },
      required: ['days'],
    },
  };
}

const SEARCH_INPUT: JsonSchema = {
  type: 'object',
  description: 'What to find. Unknown members are refused: they would widen the result.',
  properties: {
    agent_id: nullable(AGENT_ID),
    session_id: nullable(SESSION_ID),
    memory_types: nullable({ type: 'array', items: MEMORY_TYPE, maxItems: EVENT_TYPES_MAX }),
    event_types: nullable({ type: 'array', items: EVENT_TYPE, maxItems: EVENT_TYPES_MAX }),
    tags: nullable({ type: 'array', items: TAG, maxItems: TAGS_MAX, description: 'All of them.' }),
    content_contains: nullable(
      text('A literal part of the content, whatever its case.', { minLength: 1 }),
    ),
    min_importance: nullable(IMPORTANCE),
    since: nullable(SINCE),
    until: nullable(UNTIL),
    limit: nullable(whole(1, LIMIT_MAX, { default: SEARCH_LIMIT, description: LIMIT })),
    order: nullable(ORDER),
    cursor: nullable(CURSOR),
  },
  additionalProperties: false,
};

const CONTEXT_INPUT: JsonSchema = {
  type: 'object',
  properties: {
    since: nullable(
      text('Only from this time on; "all" for everything.', {
        ...TIME_VALUE,
        pattern: `(?:^all$)|${TIME_VALUE.pattern}`,
        default: CONTEXT_SINCE,
      }),
    ),
    until: nullable(UNTIL),
    include_types: nullable({ type: 'array', items: MEMORY_TYPE }),
    max_tokens: nullable(
      whole(CONTEXT_TOKENS.min, CONTEXT_TOKENS.max, {
        default: CONTEXT_TOKENS.default,
        description: 'A hard ceiling for the context, in o200k_base tokens.',
      }),
    ),
    max_memories: nullable(
      whole(CONTEXT_MEMORIES.min, CONTEXT_MEMORIES.max, {
        default: CONTEXT_MEMORIES.default,
        description: 'How many of the newest memories are considered.',
      }),
    ),
  },
};

const KEY_INPUT: JsonSchema = {
  type: 'object',
  properties: {
    name: text('For people to tell keys apart.', { minLength: 1, maxLength: KEY_NAME_LENGTH_MAX }),
    permissions: nullable({
      type: 'array',
      items: { type: 'string', enum: PERMISSIONS },
      minItems: 1,
      default: ['read', 'write'],
      description: 'admin implies read and write.',
    }),
    expires_at: nullable(text('When the key stops working.', TIME)),
  },
  required: ['name'],
};

/** The query parameters of lists, exports and deletions, by name. */
export const QUERY_PARAMETERS: Record<string, JsonSchema> = {
  agent_id: AGENT_ID,
  session_id: SESSION_ID,
  memory_type: MEMORY_TYPE,
  event_type: EVENT_TYPE,
  tags: text('Comma-separated; all of them must be there, exactly.', { examples: ['crawl,shop'] }),
  parent_id: text('The replies to this memory.', { minLength: 1, ...MEMORY_KEY }),
  min_importance: IMPORTANCE,
  since: SINCE,
  until: UNTIL,
  limit: whole(1, LIMIT_MAX, { default: LIST_LIMIT, description: LIMIT }),
  offset: whole(0, OFFSET_MAX, { default: 0, description: 'Rows to skip. Prefer cursor.' }),
  cursor: CURSOR,
  order: ORDER,
  status: text('Only sessions in this state.', { enum: SESSION_STATUSES }),
  memories: text('Whether its memories are erased too.', {
    enum: ['true', 'false'],
    default: 'false',
  }),
};

import { MEMORY_TYPES } from './event.js';
import { PERMISSIONS, SESSION_STATUSES } from './rules.js';
import type { JsonSchema } from './schema.js';

const STRING: JsonSchema = { type: 'string' };
const COUNT: JsonSchema = { type: 'integer', minimum: 0 };
const YES_OR_NO: JsonSchema = { type: 'boolean' };
const NUMBER: JsonSchema = { type: 'number' };
const OBJECT: JsonSchema = { type: 'object', additionalProperties: true };
const TIME: JsonSchema = {
  type: 'string',
  format: 'date-time',
  description: 'RFC 3339 in UTC, with microseconds.',
  examples: ['2026-11-21T08:15:00.000000Z'],
};
const NEXT_CURSOR: JsonSchema = { type: 'string', description: 'There if has_more is true.' };

/** @param optional members that are left out when empty; all others are always there */
function answer(
  description: string,
  properties: Record<string, JsonSchema>,
  optional: readonly string[] = [],
): JsonSchema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', description, properties, required };
}

function list(name: string): JsonSchema {
  return { type: 'array', items: ref(name) };
}

function ref(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` };
}

const KEY: Record<string, JsonSchema> = {
  id: STRING,
  name: STRING,
  prefix: { type: 'string', description: 'The first characters of the key.' },
  permissions: { type: 'array', items: { type: 'string', enum: PERMISSIONS } },
  created_at: TIME,
  expires_at: TIME,
  revoked_at: TIME,
  last_used_at: TIME,
};
const KEY_OPTIONAL = ['expires_at', 'revoked_at', 'last_used_at'];

/** The answers of memories, by their name in the OpenAPI document. */
const MEMORY_ANSWERS: Record<string, JsonSchema> = {
  Memory: answer(
    'A stored memory. Empty optional members are left out.',
    {
      id: { type: 'string', pattern: '^mem_[0-7][0-9A-HJKMNP-TV-Z]{25}$' },
      org_id: STRING,
      agent_id: STRING,
      session_id: STRING,
      memory_type: { type: 'string', enum: MEMORY_TYPES },
      event_type: STRING,
      content: STRING,
      metadata: OBJECT,
      tags: { type: 'array', items: STRING },
      importance: NUMBER,
      dedup_key: STRING,
      parent_id: STRING,
      time: TIME,
      ingested_at: TIME,
      expires_at: TIME,
    },
    ['session_id', 'metadata', 'tags', 'dedup_key', 'parent_id', 'expires_at'],
  ),
  MemoryBatch: answer(
    'What a batch stored.',
    {
      memories: list('Memory'),
      count: COUNT,
      duplicates: COUNT,
      skipped: {
        type: 'array',
        description: 'The duplicates: their index in the batch and the id of the first one.',
        items: answer('A duplicate.', { index: COUNT, id: STRING }),
      },
    },
    ['skipped'],
  ),
  MemoryStream: answer('What a stream of lines stored.', {
    accepted: COUNT,
    duplicates: COUNT,
    rejected: {
      type: 'array',
      description: 'The first 100; lines count from 1.',
      items: answer('A line that was not stored.', { line: COUNT, error: STRING }),
    },
    rejected_count: COUNT,
  }),
  MemoryList: answer(
    'A page of memories.',
    { memories: list('Memory'), count: COUNT, has_more: YES_OR_NO, next_cursor: NEXT_CURSOR },
    ['next_cursor'],
  ),
  SearchResult: answer(
    'A page of what was found.',
    {
      results: list('Memory'),
      count: COUNT,
      query_time_ms: COUNT,
      has_more: YES_OR_NO,
      next_cursor: NEXT_CURSOR,
    },
    ['next_cursor'],
  ),
  Deletion: answer('What a deletion removed.', { deleted: COUNT, erasure_id: STRING }),
  Erasure: answer(
    'How far an erasure has come.',
    {
      id: STRING,
      state: { type: 'string', enum: ['accepted', 'erasing', 'done'] },
      requested_at: TIME,
      deadline: TIME,
      done_at: TIME,
      files_left: COUNT,
    },
    ['done_at'],
  ),
};

/** The answers of agents and sessions. */
const ACTOR_ANSWERS: Record<string, JsonSchema> = {
  Agent: answer(
    'A registered agent.',
    {
      id: STRING,
      org_id: STRING,
      name: STRING,
      description: STRING,
      config: OBJECT,
      created_at: TIME,
      last_active_at: TIME,
    },
    ['description', 'config', 'last_active_at'],
  ),
  AgentList: answer(
    'A page of agents, newest first.',
    { agents: list('Agent'), count: COUNT, has_more: YES_OR_NO, next_cursor: NEXT_CURSOR },
    ['next_cursor'],
  ),
  AgentStats: answer(
    'What an agent did; unregistered ones have statistics too.',
    {
      agent_id: STRING,
      memory_count: COUNT,
      memories_24h: COUNT,
      errors_24h: COUNT,
      session_count: COUNT,
      active_sessions: COUNT,
      last_active_at: TIME,
      memory_types: { type: 'object', additionalProperties: COUNT },
    },
    ['last_active_at'],
  ),
  Session: answer(
    'A registered session.',
    {
      id: STRING,
      org_id: STRING,
      agent_id: STRING,
      status: { type: 'string', enum: SESSION_STATUSES },
      metadata: OBJECT,
      created_at: TIME,
      updated_at: TIME,
      closed_at: TIME,
    },
    ['metadata', 'closed_at'],
  ),
  SessionList: answer(
    'A page of sessions, newest first.',
    { sessions: list('Session'), count: COUNT, has_more: YES_OR_NO, next_cursor: NEXT_CURSOR },
    ['next_cursor'],
  ),
  SessionContext: answer('A session as markdown for a prompt.', {
    session_id: STRING,
    registered: YES_OR_NO,
    context: STRING,
    memory_count: COUNT,
    token_count: COUNT,
    truncated: YES_OR_NO,
    omitted_count: COUNT,
  }),
};

/** The answers of keys, retention and faults. */
const ADMIN_ANSWERS: Record<string, JsonSchema> = {
  Key: answer('An API key, without the key itself.', KEY, KEY_OPTIONAL),
  KeyList: answer('The API keys.', { keys: list('Key'), count: COUNT }),
  KeyCreated: answer(
    'A new API key. The key itself is shown this once.',
    { ...KEY, key: STRING },
    KEY_OPTIONAL,
  ),
  KeySelf: answer(
    'The API key of this request.',
    { ...KEY, org: answer('Its organization.', { id: STRING, name: STRING }) },
    KEY_OPTIONAL,
  ),
  Retention: answer('How long memories are kept.', {
    days: { type: ['integer', 'null'], description: 'null: for ever.' },
    source: { type: 'string', enum: ['server', 'org'] },
  }),
  Error: answer(
    'Why a request failed.',
    {
      error: { type: 'string', description: 'One sentence.' },
      code: { type: 'string', description: 'Stable: switch on this.' },
      field: { type: 'string', examples: ['memories[3].agent_id'] },
      hint: STRING,
      request_id: STRING,
    },
    ['field', 'hint'],
  ),
};

/** The bodies of answers, by their name in the OpenAPI document. */
export const ANSWERS: Record<string, JsonSchema> = {
  ...MEMORY_ANSWERS,
  ...ACTOR_ANSWERS,
  ...ADMIN_ANSWERS,
};

import { ANSWERS } from '../../event/answers.js';
import { type JsonSchema, requestSchemas } from '../../event/schema.js';
import { MEANINGS } from './errors.js';
import type { Json, PublishedLimits } from './operation.js';

/** What the API itself adds to the answers of the wire contract (views.ts, ndjson.ts). */

const INCOMPLETE: Readonly<Record<string, JsonSchema>> = {
  incomplete: {
    type: 'boolean',
    description: 'There, and true, only if a damaged file of the server had to be left out.',
  },
  incomplete_window: {
    type: 'object',
    description: 'What was left out: how many files, and the times that they span.',
    properties: {
      files: { type: 'integer', minimum: 1 },
      since: { type: 'string', format: 'date-time' },
      until: { type: 'string', format: 'date-time' },
    },
    required: ['files', 'since', 'until'],
  },
};

const PARTIAL: Readonly<Record<string, JsonSchema>> = {
  partial: {
    type: 'boolean',
    description:
      'There, and true, only if the time limit of a query came before its end: the page has what ' +
      'was found so far, perhaps nothing, and `next_cursor` goes on from there.',
  },
  searched_until: {
    type: 'string',
    format: 'date-time',
    description: 'With `partial`: in the order asked for, all up to this time was looked at.',
  },
};

const DELETED: JsonSchema = {
  type: 'boolean',
  description: 'There, and true, only if a repeated answer names a memory that is gone by now.',
};

const OPERATIONAL: Readonly<Record<string, JsonSchema>> = {
  Health: {
    type: 'object',
    description: 'The process lives.',
    properties: {
      status: { type: 'string', enum: ['ok'] },
      service: { type: 'string' },
      version: { type: 'string' },
      uptime: { type: 'string', examples: ['2h30m15s'] },
    },
    required: ['status', 'service', 'version', 'uptime'],
  },
  Readiness: {
    type: 'object',
    description: 'What can be served, and each check that says so.',
    properties: {
      status: { type: 'string', enum: ['ready', 'degraded', 'not ready'] },
      checks: { type: 'object', additionalProperties: { type: 'string' } },
    },
    required: ['status', 'checks'],
  },
};

/** All component schemas. */
export function schemasOf(limits: PublishedLimits): Record<string, JsonSchema> {
  const requests = requestSchemas(limits, limits.batchItems);
  return {
    ...requests,
    ...ANSWERS,
    Memory: withMembers(ANSWERS.Memory, { deleted: DELETED }),
    MemoryStream: streamSchema(ANSWERS.MemoryStream),
    MemoryList: withMembers(ANSWERS.MemoryList, { ...INCOMPLETE, ...PARTIAL }),
    SearchResult: withMembers(ANSWERS.SearchResult, { ...INCOMPLETE, ...PARTIAL }),
    SessionContext: withMembers(ANSWERS.SessionContext, INCOMPLETE),
    Deletion: withMembers(ANSWERS.Deletion, INCOMPLETE),
    Agent: withMembers(ANSWERS.Agent, INCOMPLETE),
    AgentStats: withMembers(ANSWERS.AgentStats, INCOMPLETE),
    Error: withMembers(ANSWERS.Error, {
      code: {
        type: 'string',
        enum: Object.keys(MEANINGS),
        description: 'Stable: switch on this. A later version may add some.',
      },
      id: { type: 'string', description: 'With duplicate_memory: the memory that is there.' },
      ...progressOf(ANSWERS.MemoryStream),
    }),
    ...OPERATIONAL,
  };
}

/** A stream of lines that breaks off says how far it came: whole lines of it may be stored. */
function progressOf(schema: JsonSchema): Record<string, JsonSchema> {
  const { properties } = streamSchema(schema) as { properties: Record<string, JsonSchema> };
  const description = 'With a stream of lines that failed: of the lines before.';
  return Object.fromEntries(
    Object.entries(properties).map(([name, member]) => [name, { ...member, description }]),
  );
}

function withMembers(schema: JsonSchema, more: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return { ...schema, properties: { ...(schema.properties as Json), ...more } };
}

/** A refused line names its field, like any 400. */
function streamSchema(schema: JsonSchema): JsonSchema {
  const properties = schema.properties as Record<string, JsonSchema>;
  const { rejected } = properties;
  const items = withMembers(rejected.items as JsonSchema, { field: { type: 'string' } });
  return withMembers(schema, { rejected: { ...rejected, items } });
}

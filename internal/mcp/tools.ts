import { MEMORY_TYPES } from '../event/event.js';
import { CONTEXT_TOKENS, LIMIT_MAX } from '../event/rules.js';
import { invalid } from '../fault/fault.js';
import type { Answer, MemoryClient } from './client.js';
import type { ArgumentSchema, Arguments, InputSchema } from './schema.js';
import { WireError } from './wire.js';

/** A tool as clients see it, and what it does. */
export interface Tool {
  readonly name: string;
  readonly description: string;
  /** What a key must be allowed to, to see it. */
  readonly permission: 'read' | 'write';
  readonly inputSchema: InputSchema;
  readonly outputSchema: OutputSchema;
  readonly annotations: Readonly<Record<string, boolean>>;
  /** @param args checked against inputSchema */
  run(client: MemoryClient, args: Arguments): Promise<Answer>;
}

/** Names what a caller goes on with. Results hold more: the members of the wire contract. */
interface OutputSchema {
  readonly [keyword: string]: unknown;
  readonly type: 'object';
}

/*
 * Every client pays for this list in every conversation (a test keeps it below 1,500 tokens), so
 * each word must help to choose a tool or to fill in an argument.
 */
const text = (description: string): ArgumentSchema => ({ type: 'string', description });
const TEXT: ArgumentSchema = { type: 'string' };
const TEXTS: ArgumentSchema = { type: 'array', items: { type: 'string' } };
const OBJECT: ArgumentSchema = { type: 'object' };
const SHARE: ArgumentSchema = { type: 'number', minimum: 0, maximum: 1 };
const KIND: ArgumentSchema = { type: 'string', enum: MEMORY_TYPES };
const KINDS: ArgumentSchema = { type: 'array', items: { type: 'string', enum: MEMORY_TYPES } };
const LIMIT: ArgumentSchema = { type: 'integer', minimum: 1, maximum: LIMIT_MAX, default: 50 };
const SINCE = text('30m, 24h, 7d, 2026-11-21 or RFC 3339');

function takes(
  properties: Readonly<Record<string, ArgumentSchema>>,
  ...required: readonly string[]
): InputSchema {
  const schema = { type: 'object', properties, additionalProperties: false } as const;
  return required.length === 0 ? schema : { ...schema, required };
}

function gives(properties: Readonly<Record<string, unknown>>): OutputSchema {
  return { type: 'object', properties, required: Object.keys(properties) };
}

const ROWS = { type: 'array', items: { type: 'object' } };
const YES_OR_NO = { type: 'boolean' };
const WHOLE = { type: 'integer' };
const STORED = gives({ id: TEXT });

const READS = { readOnlyHint: true, openWorldHint: false };
const ADDS = { destructiveHint: false, openWorldHint: false };

/** The tools, in the order in which clients show them. */
export const TOOLS: readonly Tool[] = [
  {
    name: 'memtrace_remember',
    description:
      'Store an action, observation, fact or error to know later, also after a restart. ' +
      'Call it when it happens. An equal recent memory is refused as a duplicate.',
    permission: 'write',
    inputSchema: takes(
      {
        agent_id: text('Your stable name, e.g. crawler_1'),
        content: TEXT,
        memory_type: { ...KIND, default: 'episodic' },
        event_type: text('e.g. page_crawled; "error" for failures'),
        session_id: TEXT,
        tags: TEXTS,
        importance: SHARE,
        metadata: OBJECT,
      },
      'agent_id',
      'content',
    ),
    outputSchema: STORED,
    annotations: ADDS,
    run: (client, args) => client.remember(args),
  },
  {
    name: 'memtrace_recall',
    description: "An agent's latest memories, newest first. Use it to see what was done lately.",
    permission: 'read',
    inputSchema: takes(
      {
        agent_id: TEXT,
        since: { ...SINCE, default: '24h' },
        session_id: TEXT,
        memory_type: KIND,
        limit: LIMIT,
      },
      'agent_id',
    ),
    outputSchema: gives({ memories: ROWS, has_more: YES_OR_NO }),
    annotations: READS,
    run: (client, args) => client.recall(args),
  },
  {
    name: 'memtrace_search',
    description: 'Find memories of any age by filters, all of which must match.',
    permission: 'read',
    inputSchema: takes({
      agent_id: TEXT,
      content_contains: text('Literal part of the content, any case'),
      memory_types: KINDS,
      tags: TEXTS,
      since: SINCE,
      min_importance: SHARE,
      limit: LIMIT,
    }),
    outputSchema: gives({ results: ROWS, has_more: YES_OR_NO }),
    annotations: READS,
    run: (client, args) => client.search(args),
  },
  {
    name: 'memtrace_decide',
    description: 'Record a decision with its reason, when you choose between ways to go on.',
    permission: 'write',
    inputSchema: takes(
      { agent_id: TEXT, decision: TEXT, reasoning: TEXT, session_id: TEXT },
      'agent_id',
      'decision',
      'reasoning',
    ),
    outputSchema: STORED,
    annotations: ADDS,
    run: decide,
  },
  {
    name: 'memtrace_session_create',
    description: 'Start a session for a piece of work; pass its id as session_id from then on.',
    permission: 'write',
    inputSchema: takes({ agent_id: TEXT, metadata: OBJECT }, 'agent_id'),
    outputSchema: STORED,
    annotations: ADDS,
    run: (client, args) => client.createSession(args),
  },
  {
    name: 'memtrace_session_context',
    description:
      'All of a session as markdown, grouped into actions, decisions and errors. ' +
      'Use it to resume work.',
    permission: 'read',
    inputSchema: takes(
      {
        session_id: TEXT,
        since: { ...SINCE, default: 'all' },
        include_types: KINDS,
        max_tokens: {
          type: 'integer',
          minimum: CONTEXT_TOKENS.min,
          maximum: CONTEXT_TOKENS.max,
          default: CONTEXT_TOKENS.default,
        },
      },
      'session_id',
    ),
    outputSchema: gives({ context: TEXT, memory_count: WHOLE, truncated: YES_OR_NO }),
    annotations: READS,
    run: context,
  },
  {
    name: 'memtrace_agent_register',
    description: 'Describe an agent to others, once. Not needed to store memories.',
    permission: 'write',
    inputSchema: takes({ name: text('Its agent_id'), description: TEXT }, 'name'),
    outputSchema: STORED,
    annotations: { ...ADDS, idempotentHint: true },
    run: (client, args) => client.registerAgent(args),
  },
  {
    name: 'memtrace_forget',
    description:
      'Erase memories for good: one by id, a session, or those of an agent within since/until. ' +
      'Only when asked to.',
    permission: 'write',
    inputSchema: takes({
      id: TEXT,
      session_id: TEXT,
      agent_id: text('With since, until or both'),
      since: SINCE,
      until: SINCE,
    }),
    outputSchema: gives({ deleted: WHOLE }),
    annotations: { destructiveHint: true, idempotentHint: true, openWorldHint: false },
    run: forget,
  },
];

const LEFT_OUT = 'Incomplete: a damaged file of the server, with more of this time, was left out.';

/** The text is the markdown itself, ready for a prompt. */
async function context(client: MemoryClient, args: Arguments): Promise<Answer> {
  const { session_id: sessionId, ...options } = args;
  const { value } = await client.context(String(sessionId), options);
  const text = String(value.context);
  return { text: value.incomplete === true ? `${text}\n${LEFT_OUT}\n` : text, value };
}

/** A decision is stored as content and metadata; its faults name what the model sent. */
async function decide(client: MemoryClient, args: Arguments): Promise<Answer> {
  try {
    return await client.decide(args);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const { field } = error.problem;
    const name = DECISION_FIELDS[field ?? ''];
    if (field === undefined || name === undefined) throw error;
    throw new WireError({
      ...error.problem,
      error: error.problem.error.replace(field, name),
      field: name,
    });
  }
}

const DECISION_FIELDS: Readonly<Record<string, string>> = {
  content: 'decision',
  metadata: 'reasoning',
  'metadata.reasoning': 'reasoning',
};

/** Exactly one target: what a model leaves out must never widen an erasure. */
async function forget(client: MemoryClient, args: Arguments): Promise<Answer> {
  const given = ['id', 'session_id', 'agent_id'].filter((name) => args[name] !== undefined);
  if (given.length !== 1) {
    throw invalid(given[1] ?? 'id', 'Give exactly one of id, session_id and agent_id.');
  }
  for (const [name, value] of Object.entries(args)) {
    if (value === '') throw invalid(name, `${name} must not be empty; leave it out instead.`);
  }
  const window = args.since !== undefined || args.until !== undefined;
  if (given[0] === 'agent_id' && !window) {
    const hint = 'for everything of the agent: since = "1970-01-01"';
    throw invalid('since', 'agent_id needs since, until or both.', hint);
  }
  if (given[0] !== 'agent_id' && window) {
    throw invalid('agent_id', `since and until go with agent_id, not with ${given[0]}.`);
  }
  return client.forget(args);
}

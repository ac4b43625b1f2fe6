import { OF_BODIES, OF_QUERIES, OF_WRITES } from './errors.js';
import * as examples from './examples.js';
import { type Operation, ofJson, queryOf } from './operation.js';

/** Operations of agents and sessions. */

const AGENT_ID = { description: 'The id of an agent, or its name.', example: 'crawler_1' };
const SESSION_ID = { description: 'The id of a session.', example: examples.SESSION.id };
const LITERAL_SESSION_ID = { description: 'A literal session_id.', example: examples.SESSION.id };

export const registerAgent: Operation = {
  id: 'registerAgent',
  tag: 'Agents',
  summary: 'Register an agent',
  description: 'Optional: memories can be stored for any agent_id.',
  idempotent: true,
  body: {
    description: 'The agent. Unknown members are ignored.',
    content: ofJson('AgentInput', { agent: examples.AGENT_INPUT }),
  },
  answers: {
    201: { description: 'Registered.', content: ofJson('Agent', { agent: examples.AGENT }) },
  },
  errors: ['missing_name', ...OF_BODIES, 'name_taken', 'idempotency_key_reused', 'disk_full'],
};

export const listAgents: Operation = {
  id: 'listAgents',
  tag: 'Agents',
  summary: 'List agents',
  description: 'Newest registration first.',
  query: queryOf(['limit', 'cursor']),
  answers: {
    200: {
      description: 'A page of agents.',
      content: ofJson('AgentList', { page: examples.AGENT_LIST }),
    },
  },
  errors: ['invalid_limit', 'invalid_cursor', ...OF_QUERIES],
};

export const getAgent: Operation = {
  id: 'getAgent',
  tag: 'Agents',
  summary: 'Get an agent',
  description: 'By id, or else by name.',
  pathId: AGENT_ID,
  answers: {
    200: { description: 'The agent.', content: ofJson('Agent', { agent: examples.AGENT }) },
  },
  errors: ['agent_not_found', ...OF_QUERIES],
};

export const removeAgent: Operation = {
  id: 'removeAgent',
  tag: 'Agents',
  summary: 'Remove an agent',
  description: `
Its registration. Memories stored under its id or its name stay, unless \`memories=true\`: then they
are erased, and \`x-erasure-id\` names the erasure.`,
  pathId: AGENT_ID,
  query: queryOf(['memories']),
  answers: { 204: { description: 'It is gone.', headers: ['ErasureId'] } },
  errors: ['invalid_flag', 'agent_not_found', ...OF_QUERIES, ...OF_WRITES],
};

export const getAgentStats: Operation = {
  id: 'getAgentStats',
  tag: 'Agents',
  summary: 'Get statistics of an agent',
  description: 'Counts of its memories and of its registered sessions. It need not be registered.',
  pathId: { description: 'A literal agent_id.', example: 'crawler_1' },
  answers: {
    200: {
      description: 'The counts.',
      content: ofJson('AgentStats', { stats: examples.AGENT_STATS }),
    },
  },
  errors: OF_QUERIES,
};

export const createSession: Operation = {
  id: 'createSession',
  tag: 'Sessions',
  summary: 'Open a session',
  description: 'Optional: memories can be stored for any session_id.',
  idempotent: true,
  body: {
    description: 'The session. Unknown members are ignored.',
    content: ofJson('SessionInput', { session: examples.SESSION_INPUT }),
  },
  answers: {
    201: { description: 'Opened.', content: ofJson('Session', { session: examples.SESSION }) },
  },
  errors: ['missing_member', ...OF_BODIES, 'idempotency_key_reused', 'disk_full'],
};

export const listSessions: Operation = {
  id: 'listSessions',
  tag: 'Sessions',
  summary: 'List sessions',
  description: 'Newest first.',
  query: queryOf(['agent_id', 'status', 'limit', 'cursor']),
  answers: {
    200: {
      description: 'A page of sessions.',
      content: ofJson('SessionList', { page: examples.SESSION_LIST }),
    },
  },
  errors: ['invalid_status', 'invalid_limit', 'invalid_cursor'],
};

export const getSession: Operation = {
  id: 'getSession',
  tag: 'Sessions',
  summary: 'Get a session',
  description: 'Its registration, with its metadata.',
  pathId: SESSION_ID,
  answers: {
    200: { description: 'The session.', content: ofJson('Session', { session: examples.SESSION }) },
  },
  errors: ['session_not_found'],
};

export const updateSession: Operation = {
  id: 'updateSession',
  tag: 'Sessions',
  summary: 'Update, close or reopen a session',
  description: `
Metadata is merged key by key at its top level; a key that is null goes. Closing sets \`closed_at\`,
reopening clears it. A closed session still takes memories.`,
  pathId: SESSION_ID,
  body: {
    description: 'What changes. Unknown members are ignored.',
    content: ofJson('SessionPatch', { close: examples.SESSION_PATCH }),
  },
  answers: {
    200: {
      description: 'As it is now.',
      content: ofJson('Session', { session: examples.SESSION_CLOSED }),
    },
  },
  errors: ['invalid_status', ...OF_BODIES, 'session_not_found', 'disk_full'],
};

export const removeSession: Operation = {
  id: 'removeSession',
  tag: 'Sessions',
  summary: 'Remove a session',
  description: `
Its registration. Its memories stay, unless \`memories=true\`: then they are erased, and
\`x-erasure-id\` names the erasure.`,
  pathId: SESSION_ID,
  query: queryOf(['memories']),
  answers: { 204: { description: 'It is gone.', headers: ['ErasureId'] } },
  errors: ['invalid_flag', 'session_not_found', ...OF_QUERIES, ...OF_WRITES],
};

export const getSessionContext: Operation = {
  id: 'getSessionContext',
  tag: 'Sessions',
  summary: 'Render a session for a prompt',
  description: `
Markdown with what happened, what was decided and what failed, newest first, within \`max_tokens\`
(counted with the tokenizer o200k_base). Where it does not fit, the least important and then the
oldest memories are left out, and long ones are cut.

What is stored is data: no memory can open a heading, a list item, a code fence or a link of its own
in this text, whatever it contains. An unknown session has a context with its heading only, and
\`registered\` is false.`,
  pathId: LITERAL_SESSION_ID,
  body: {
    description: 'What to show, or nothing for the last 24 hours.',
    optional: true,
    content: ofJson(
      { anyOf: [{ $ref: '#/components/schemas/ContextInput' }, { type: 'null' }] },
      { context: examples.CONTEXT_INPUT },
    ),
  },
  answers: {
    200: {
      description: 'The context.',
      content: ofJson('SessionContext', { context: examples.CONTEXT }),
    },
  },
  errors: ['invalid_tokens', ...OF_BODIES, ...OF_QUERIES],
};

import { FILTER_NAMES } from '../../event/query.js';
import { OF_BODIES, OF_QUERIES, OF_WRITES } from './errors.js';
import * as examples from './examples.js';
import { type Json, type Operation, ofJson, queryOf } from './operation.js';

const MEMORY_ID = { description: 'The id of a memory.', example: examples.MEMORY.id };
const PAGES = ['limit', 'offset', 'cursor', 'order'];
const PAGE_OF_MEMORIES = {
  200: {
    description: 'A page of memories.',
    content: ofJson('MemoryList', { page: examples.MEMORY_LIST }),
  },
};

const without = (name: string) => FILTER_NAMES.filter((filter) => filter !== name);
const filters = queryOf(FILTER_NAMES);

export const rememberMemories: Operation = {
  id: 'rememberMemories',
  tag: 'Memories',
  summary: 'Store one memory, a batch, or a stream of lines',
  description: ({ batchItems, bodyBytes, dedupWindowHours }) => `
One object stores one memory. \`{"memories": [...]}\` stores up to ${batchItems} at once, all or
none, in at most ${bodyBytes} bytes. \`application/x-ndjson\` takes one memory a line (1 MiB each),
any number of them, and says which lines it refused; of a cut stream whole lines may be stored.

The answer is sent once everything in it is on the disk.

**Duplicates.** A memory is refused if an equal one was stored in the last ${dedupWindowHours}
hours: equal in its \`dedup_key\`, or, without one, in agent, session, event type, content and
sent time. One memory answers 409 with the \`id\` of the first one; a batch and a stream count them.

**Retries.** With an \`Idempotency-Key\` the same request, sent again within 24 hours, gets the
first answer; not for streams.`,
  idempotent: true,
  body: {
    description: 'A memory, a batch, or lines of memories.',
    content: {
      ...ofJson(
        {
          anyOf: [
            { $ref: '#/components/schemas/MemoryInput' },
            { $ref: '#/components/schemas/MemoryBatchInput' },
          ],
        },
        { one: examples.MEMORY_INPUT, batch: examples.BATCH_INPUT },
      ),
      'application/x-ndjson': {
        schema: {
          type: 'string',
          description: 'Each line is a MemoryInput; blank ones are skipped.',
        },
        examples: { lines: examples.LINES_INPUT },
      },
    },
  },
  answers: {
    200: {
      description: 'A stream of lines was read to its end; what could be stored is stored.',
      content: ofJson('MemoryStream', { lines: examples.STREAM }),
    },
    201: {
      description: 'Stored: the memory, or what the batch stored.',
      content: ofJson(
        {
          anyOf: [
            { $ref: '#/components/schemas/Memory' },
            { $ref: '#/components/schemas/MemoryBatch' },
          ],
        },
        { one: examples.MEMORY, batch: examples.BATCH },
      ),
    },
  },
  errors: [
    'bad_item',
    ...OF_BODIES,
    ...OF_WRITES,
    'duplicate_memory',
    'batch_too_large',
    'unsupported_content_type',
    'idempotency_key_reused',
  ],
};

export const listMemories: Operation = {
  id: 'listMemories',
  tag: 'Memories',
  summary: 'List memories',
  description: `
Newest first unless \`order=asc\`. All filters must match. For the next page send \`next_cursor\` as
\`cursor\`, with the same filters: a cursor stays right while memories arrive, an offset does not.`,
  query: { ...filters, ...queryOf(PAGES) },
  answers: PAGE_OF_MEMORIES,
  errors: ['invalid_limit', 'invalid_cursor', ...OF_QUERIES],
};

export const forgetMemories: Operation = {
  id: 'forgetMemories',
  tag: 'Memories',
  summary: 'Erase all memories that match',
  description: `
At least one filter is needed. They vanish from every answer at once, and from the files before the
\`deadline\` of the erasure: see GET /api/v1/erasures/{id}. With \`incomplete\`, what a damaged file
holds is erased too, but not counted.`,
  query: filters,
  answers: {
    200: {
      description: 'How many vanished.',
      content: ofJson('Deletion', { erased: examples.DELETION }),
      headers: ['ErasureId'],
    },
  },
  errors: ['no_filter', ...OF_QUERIES, ...OF_WRITES],
};

export const getMemory: Operation = {
  id: 'getMemory',
  tag: 'Memories',
  summary: 'Get a memory',
  description: 'By its id alone, which carries its time: fast in any history.',
  pathId: MEMORY_ID,
  answers: {
    200: { description: 'The memory.', content: ofJson('Memory', { memory: examples.MEMORY }) },
  },
  errors: ['memory_not_found', 'memory_unreadable', ...OF_QUERIES],
};

export const forgetMemory: Operation = {
  id: 'forgetMemory',
  tag: 'Memories',
  summary: 'Erase a memory',
  description: `
It vanishes from every answer at once. An equal memory may be stored again. One that may be in a
damaged file is erased too, though nobody can tell whether it is there: 204, not 404.`,
  pathId: MEMORY_ID,
  answers: { 204: { description: 'It is gone.', headers: ['ErasureId'] } },
  errors: ['memory_not_found', ...OF_QUERIES, ...OF_WRITES],
};

export const searchMemories: Operation = {
  id: 'searchMemories',
  tag: 'Search',
  summary: 'Search memories',
  description: `
By type, tags, importance, time and a literal part of the content, whatever its case. Everything
that is given must match; of \`memory_types\` and \`event_types\` one suffices.`,
  body: {
    description: 'What to find; `{}` finds everything.',
    content: ofJson('SearchInput', { search: examples.SEARCH_INPUT }),
  },
  answers: {
    200: {
      description: 'A page of what was found.',
      content: ofJson('SearchResult', { page: examples.SEARCH_RESULT }),
    },
  },
  errors: ['invalid_limit', 'invalid_cursor', ...OF_BODIES, ...OF_QUERIES],
};

export const exportMemories: Operation = {
  id: 'exportMemories',
  tag: 'Search',
  summary: 'Export memories as lines',
  description: `
Oldest first, without pages, however many there are. The last line is \`{"end":true,"count":n}\`:
where it is missing, the stream was cut. It has \`incomplete\` and \`incomplete_window\`, as a
page of memories has, if a damaged file had to be left out.`,
  query: filters,
  answers: {
    200: {
      description: 'A memory a line, and a last line that says how many.',
      content: {
        'application/x-ndjson': {
          schema: { type: 'string', description: 'Each line but the last is a Memory.' },
          examples: { lines: examples.EXPORT },
        },
      },
    },
  },
  errors: OF_QUERIES,
};

function listOf(id: string, of: { summary: string; description: string; since?: Json }): Operation {
  const fixed = id === 'listAgentMemories' ? 'agent_id' : 'session_id';
  return {
    id,
    tag: fixed === 'agent_id' ? 'Agents' : 'Sessions',
    summary: of.summary,
    description: of.description,
    pathId:
      fixed === 'agent_id'
        ? { description: 'A literal agent_id.', example: 'crawler_1' }
        : { description: 'A literal session_id.', example: examples.SESSION.id },
    query: { ...queryOf(without(fixed)), ...queryOf(PAGES), ...(of.since && { since: of.since }) },
    answers: PAGE_OF_MEMORIES,
    errors: ['invalid_limit', 'invalid_cursor', ...OF_QUERIES],
  };
}

export const listAgentMemories = listOf('listAgentMemories', {
  summary: 'List memories of an agent',
  description: 'Of the last 24 hours unless `since` says otherwise. It need not be registered.',
  since: { default: '24h' },
});

export const listSessionMemories = listOf('listSessionMemories', {
  summary: 'List memories of a session',
  description: 'It need not be registered; one without memories has an empty list.',
});

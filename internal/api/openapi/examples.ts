/** Bodies that the document shows. A test holds each of them against its schema. */

export const MEMORY_INPUT = {
  agent_id: 'crawler_1',
  session_id: 'sess_01KAJDFPXH5R1T7W3Y9B2D4F6G',
  event_type: 'page_crawled',
  content: 'Crawled https://example.com and found 3 product pages',
  tags: ['crawl', 'shop.example'],
  importance: 0.6,
  metadata: { url: 'https://example.com', products: 3 },
};

export const DECISION_INPUT = {
  agent_id: 'crawler_1',
  session_id: 'sess_01KAJDFPXH5R1T7W3Y9B2D4F6G',
  memory_type: 'decision',
  event_type: 'decision',
  content: 'Skip pagination',
  metadata: { reasoning: 'only 2 pages deep' },
};

export const BATCH_INPUT = { memories: [MEMORY_INPUT, DECISION_INPUT] };

export const LINES_INPUT =
  '{"agent_id":"crawler_1","content":"Opened the first page"}\n' +
  '{"agent_id":"crawler_1","content":"Opened the second page"}\n';

export const ORG_ID = 'org_01KAJDB0C9A8E7G6J5M4P3R2T1';
const OBSERVED = '2026-11-21T08:15:00.000000Z';
const ACCEPTED = '2026-11-21T08:15:00.004211Z';

export const MEMORY = {
  id: 'mem_01KAJDFQ80J3V6N9Q0W2E4R6T8',
  org_id: ORG_ID,
  agent_id: 'crawler_1',
  session_id: 'sess_01KAJDFPXH5R1T7W3Y9B2D4F6G',
  memory_type: 'episodic',
  event_type: 'page_crawled',
  content: 'Crawled https://example.com and found 3 product pages',
  metadata: { url: 'https://example.com', products: 3 },
  tags: ['crawl', 'shop.example'],
  importance: 0.6,
  dedup_key: '6f0b7c3a5d1e4f2890ab6c7d8e9f0123',
  time: OBSERVED,
  ingested_at: ACCEPTED,
};

export const DECISION = {
  id: 'mem_01KAJDFQ80K4W7P0R1X3F5S7V9',
  org_id: ORG_ID,
  agent_id: 'crawler_1',
  session_id: 'sess_01KAJDFPXH5R1T7W3Y9B2D4F6G',
  memory_type: 'decision',
  event_type: 'decision',
  content: 'Skip pagination',
  metadata: { reasoning: 'only 2 pages deep' },
  importance: 0,
  dedup_key: '0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f',
  time: OBSERVED,
  ingested_at: ACCEPTED,
};

export const BATCH = {
  memories: [DECISION],
  count: 1,
  duplicates: 1,
  skipped: [{ index: 0, id: MEMORY.id }],
};

export const STREAM = {
  accepted: 2,
  duplicates: 0,
  rejected: [{ line: 3, error: 'agent_id is required.', field: 'agent_id' }],
  rejected_count: 1,
};

const CURSOR = 'eyJ2IjoxLCJwIjpbMTc5NTI1MjUwMDAwMDAwMCwibWVtXzAxIl19.9f8e7d6c';

export const MEMORY_LIST = {
  memories: [DECISION, MEMORY],
  count: 2,
  has_more: true,
  next_cursor: CURSOR,
};

export const SEARCH_INPUT = {
  agent_id: 'crawler_1',
  content_contains: 'product',
  memory_types: ['episodic'],
  since: '7d',
  limit: 10,
};

export const SEARCH_RESULT = { results: [MEMORY], count: 1, query_time_ms: 4, has_more: false };

export const EXPORT = `${JSON.stringify(MEMORY)}\n{"end":true,"count":1}\n`;

export const ERASURE_ID = 'era_01KAJDG2M4Q6S8V0X2Z4B6D8F0';
export const DELETION = { deleted: 42, erasure_id: ERASURE_ID };

export const ERASURE = {
  id: ERASURE_ID,
  state: 'erasing',
  requested_at: ACCEPTED,
  deadline: '2026-11-22T08:15:00.004211Z',
  files_left: 3,
};

export const AGENT_INPUT = {
  name: 'crawler_1',
  description: 'Looks for product pages',
  config: { depth: 2 },
};

export const AGENT = {
  id: 'agent_01KAJDE5R7T9V1X3Z5B7D9F1H3',
  org_id: ORG_ID,
  ...AGENT_INPUT,
  created_at: ACCEPTED,
  last_active_at: OBSERVED,
};

export const AGENT_LIST = { agents: [AGENT], count: 1, has_more: false };

export const AGENT_STATS = {
  agent_id: 'crawler_1',
  memory_count: 1_204,
  memories_24h: 86,
  errors_24h: 2,
  session_count: 12,
  active_sessions: 1,
  last_active_at: OBSERVED,
  memory_types: { episodic: 1_150, decision: 54 },
};

export const SESSION_INPUT = { agent_id: 'crawler_1', metadata: { task: 'catalogue' } };

export const SESSION = {
  id: 'sess_01KAJDFPXH5R1T7W3Y9B2D4F6G',
  org_id: ORG_ID,
  agent_id: 'crawler_1',
  status: 'active',
  metadata: { task: 'catalogue' },
  created_at: OBSERVED,
  updated_at: OBSERVED,
};

export const SESSION_LIST = { sessions: [SESSION], count: 1, has_more: false };
export const SESSION_PATCH = { status: 'closed', metadata: { result: 'ok' } };
export const SESSION_CLOSED = {
  ...SESSION,
  status: 'closed',
  metadata: { task: 'catalogue', result: 'ok' },
  updated_at: ACCEPTED,
  closed_at: ACCEPTED,
};

export const CONTEXT_INPUT = { since: '24h', max_tokens: 4_000 };

export const CONTEXT = {
  session_id: SESSION.id,
  registered: true,
  context:
    `## Session Context (${SESSION.id})\n\n### Recent Actions (1)\n` +
    '- [2026-11-21T08:15:00Z] page_crawled: Crawled https://example.com and found 3 product pages\n' +
    '### Decisions Made (1)\n' +
    '- [2026-11-21T08:15:00Z] decision: Skip pagination (reasoning: only 2 pages deep)',
  memory_count: 2,
  token_count: 97,
  truncated: false,
  omitted_count: 0,
};

export const KEY_INPUT = { name: 'crawler', permissions: ['read', 'write'] };

export const KEY = {
  id: 'key_01KAJDC8E0G2J4M6P8R0T2V4X6',
  name: 'crawler',
  prefix: 'mtk_Zk3vQ9aB',
  permissions: ['read', 'write'],
  created_at: ACCEPTED,
};

export const KEY_CREATED = { ...KEY, key: 'mtk_Zk3vQ9aB…shown-once' };
export const KEY_LIST = { keys: [{ ...KEY, last_used_at: OBSERVED }], count: 1 };
export const KEY_SELF = { ...KEY, org: { id: ORG_ID, name: 'default' } };
export const RETENTION = { days: 90, source: 'org' };
export const RETENTION_INPUT = { days: 90 };

export const HEALTH = { status: 'ok', service: 'memtrace', version: '0.1.0', uptime: '2h30m15s' };
export const READY = {
  status: 'ready',
  checks: { log: 'ok', metadata: 'ok', store: 'ok', flush: 'ok' },
};
export const NOT_READY = {
  status: 'not ready',
  checks: { log: 'reading the log back: 1200 events so far' },
};

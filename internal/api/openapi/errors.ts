import { type FaultCode, STATUS_OF } from '../../fault/codes.js';

/** Codes that a client can see; one that has gone away sees nothing. */
export type VisibleCode = Exclude<FaultCode, 'client_closed_request'>;

/** What each code means to a caller. A new code does not compile before it is explained here. */
export const MEANINGS: Readonly<Record<VisibleCode, string>> = {
  invalid_json: 'The body is not JSON in UTF-8, or not valid gzip.',
  invalid_field: '`field` says which member or parameter is wrong; nothing was stored.',
  invalid_cursor: 'The cursor belongs to another request: start again without it.',
  missing_api_key: 'There was no key in the request.',
  invalid_api_key: 'The key is unknown, revoked or expired.',
  permission_denied: 'The key is valid but may not do this.',
  not_found: 'There is no such thing in this organization, or no such route.',
  method_not_allowed: 'The path takes other methods: see the Allow header.',
  duplicate_memory: 'An equal memory is stored already; `id` names it.',
  name_taken: 'Another agent has this name.',
  last_admin_key: 'The last valid admin key cannot be revoked.',
  body_too_large: 'Send less at once, or a stream of application/x-ndjson.',
  batch_too_large: 'Send several batches, or a stream of application/x-ndjson.',
  unsupported_media_type: 'Another Content-Type or Content-Encoding is needed.',
  idempotency_key_reused: 'The Idempotency-Key was used with another body.',
  rate_limited: 'Too many requests with this key: wait for Retry-After.',
  internal: 'A bug; the log of the server has it under the request_id.',
  overloaded: 'Too much at once: wait for Retry-After. Nothing was stored.',
  query_timeout: 'The query took too long: narrow its time window.',
  disk_full: 'Nothing can be written until there is space; reading works.',
  log_failed: 'The disk failed: the server restarts and reads its log back.',
  store_unavailable: 'A part of the server cannot be reached at the moment.',
  memory_unreadable:
    'It may be in a damaged file, so that nobody can tell whether it is there: for the operator.',
  not_ready: 'The server is starting.',
  draining: 'The server is shutting down: another one, or a retry, will do it.',
};

interface ErrorExample {
  code: VisibleCode;
  error: string;
  field?: string;
  hint?: string;
  /** Further members of the body. */
  more?: Readonly<Record<string, unknown>>;
}

/** Answers as the server gives them, by name. */
export const ERRORS = {
  unknown_parameter: {
    code: 'invalid_field',
    error: '"agentid" is not a parameter of this request.',
    field: 'agentid',
    hint: 'Did you mean agent_id?',
  },
  invalid_limit: {
    code: 'invalid_field',
    error: 'limit must be a whole number from 1 to 1000.',
    field: 'limit',
  },
  invalid_status: {
    code: 'invalid_field',
    error: 'status must be one of "active", "closed".',
    field: 'status',
  },
  invalid_flag: {
    code: 'invalid_field',
    error: 'memories must be "true" or "false".',
    field: 'memories',
  },
  invalid_permission: {
    code: 'invalid_field',
    error: 'permissions must not be empty.',
    field: 'permissions',
  },
  invalid_days: {
    code: 'invalid_field',
    error: 'days must be a whole number from 1 to 36500, or null.',
    field: 'days',
  },
  invalid_tokens: {
    code: 'invalid_field',
    error: 'max_tokens must be a whole number from 64 to 200000.',
    field: 'max_tokens',
  },
  bad_item: {
    code: 'invalid_field',
    error:
      'memories[3].agent_id must be 1 to 128 letters, digits, "_" or "-", and begin with a letter.',
    field: 'memories[3].agent_id',
  },
  missing_member: { code: 'invalid_field', error: 'agent_id is required.', field: 'agent_id' },
  missing_name: { code: 'invalid_field', error: 'name is required.', field: 'name' },
  no_filter: {
    code: 'invalid_field',
    error: 'A deletion needs at least one filter.',
    field: 'query',
    hint:
      'Known are: agent_id, session_id, memory_type, event_type, tags, parent_id, ' +
      'min_importance, since, until.',
  },
  invalid_json: { code: 'invalid_json', error: 'the body is not valid JSON' },
  invalid_cursor: {
    code: 'invalid_cursor',
    error: 'cursor does not belong to this request.',
    field: 'cursor',
    hint: 'Use next_cursor as it came, with the same filters and order; or start without it.',
  },
  missing_api_key: {
    code: 'missing_api_key',
    error: 'missing API key',
    hint: 'send it as "x-api-key: mtk_…" or "Authorization: Bearer mtk_…"',
  },
  invalid_api_key: {
    code: 'invalid_api_key',
    error: 'invalid API key',
    hint: 'it is unknown, revoked or expired',
  },
  permission_denied: {
    code: 'permission_denied',
    error: 'this API key lacks the write permission',
    hint: 'ask an administrator for a key with "write"',
  },
  memory_not_found: { code: 'not_found', error: 'memory not found' },
  agent_not_found: { code: 'not_found', error: 'agent not found' },
  session_not_found: { code: 'not_found', error: 'session not found' },
  key_not_found: { code: 'not_found', error: 'there is no key with this id' },
  erasure_not_found: { code: 'not_found', error: 'erasure not found' },
  duplicate_memory: {
    code: 'duplicate_memory',
    error: 'duplicate memory',
    hint: 'an equal memory was stored within the deduplication window; see id',
    more: { id: 'mem_01KAJDFQ80J3V6N9Q0W2E4R6T8' },
  },
  name_taken: {
    code: 'name_taken',
    error: 'an agent of this name exists already',
    field: 'name',
  },
  last_admin_key: {
    code: 'last_admin_key',
    error: 'this is the last admin key of the organization',
    hint: 'create another admin key first',
  },
  body_too_large: {
    code: 'body_too_large',
    error: 'the body is larger than 10485760 bytes',
    hint: 'send smaller batches, or a stream of application/x-ndjson',
  },
  batch_too_large: {
    code: 'batch_too_large',
    error: 'a batch holds at most 1000 memories',
    field: 'memories',
    hint: 'send several batches, or a stream of application/x-ndjson',
  },
  unsupported_content_type: {
    code: 'unsupported_media_type',
    error: 'this Content-Type is not supported',
    field: 'Content-Type',
    hint: 'send application/json or application/x-ndjson',
  },
  unsupported_encoding: {
    code: 'unsupported_media_type',
    error: 'this Content-Encoding is not supported',
    field: 'Content-Encoding',
    hint: 'send the body plain or with gzip',
  },
  idempotency_key_reused: {
    code: 'idempotency_key_reused',
    error: 'this Idempotency-Key was used with another body',
    field: 'Idempotency-Key',
    hint: 'send a new key with a new body, and the same bytes with the same key',
  },
  rate_limited: {
    code: 'rate_limited',
    error: 'too many requests with this API key',
    hint: 'at most 100 at once; see Retry-After',
  },
  internal: {
    code: 'internal',
    error: 'something went wrong on the server',
    hint: 'the request_id names it in the log of the server',
  },
  buffer_full: { code: 'overloaded', error: 'the write buffer is full' },
  bodies_full: {
    code: 'overloaded',
    error: 'too many bytes are in flight',
    hint: 'send again after the Retry-After seconds, in smaller batches',
  },
  too_many_queries: { code: 'overloaded', error: 'too many queries are running' },
  query_timeout: {
    code: 'query_timeout',
    error: 'the query took too long and was stopped',
    hint: 'narrow it with since, until, agent_id or session_id',
  },
  disk_full: { code: 'disk_full', error: 'the disk is full' },
  log_failed: { code: 'log_failed', error: 'the write-ahead log failed' },
  store_unavailable: {
    code: 'store_unavailable',
    error: 'the metadata store is unavailable',
  },
  memory_unreadable: {
    code: 'memory_unreadable',
    error: 'this memory may be in a damaged file of the server, which cannot be read',
    hint: 'the operator finds it with memtrace verify; a retry alone does not help',
  },
  not_ready: {
    code: 'not_ready',
    error: 'the server is starting',
    hint: 'it reads its log back; /ready tells when it is done',
  },
  draining: { code: 'draining', error: 'the server is shutting down' },
} as const satisfies Readonly<Record<string, ErrorExample>>;

export type ErrorName = keyof typeof ERRORS;

/** What every route with a key can answer. */
export const SHARED: readonly ErrorName[] = [
  'unknown_parameter',
  'missing_api_key',
  'invalid_api_key',
  'rate_limited',
  'internal',
  'store_unavailable',
  'not_ready',
];
/** What every route with a body can answer. */
export const OF_BODIES: readonly ErrorName[] = [
  'invalid_json',
  'body_too_large',
  'unsupported_encoding',
  'bodies_full',
];
/** What every route that queries memories can answer. */
export const OF_QUERIES: readonly ErrorName[] = ['query_timeout', 'too_many_queries'];
/** What every route that writes memories can answer. */
export const OF_WRITES: readonly ErrorName[] = [
  'buffer_full',
  'disk_full',
  'log_failed',
  'draining',
];

const STATUS_TITLES: Readonly<Record<number, string>> = {
  400: 'Something in the request is wrong; `field` names it. Nothing was changed.',
  401: 'The API key is missing or not valid.',
  403: 'The API key lacks the permission.',
  404: 'There is no such thing in this organization.',
  409: 'It conflicts with what is there.',
  413: 'More than the server takes at once.',
  415: 'The body comes in a form that the server does not read.',
  422: 'The Idempotency-Key was used with another body.',
  429: 'Too many requests with this key.',
  500: 'A bug of the server.',
  503: 'Not at the moment: send it again after Retry-After.',
};

/** Names of errors by their HTTP status. */
export function byStatus(names: Iterable<ErrorName>): Map<number, ErrorName[]> {
  const groups = new Map<number, ErrorName[]>();
  for (const name of new Set(names)) {
    const status = STATUS_OF[ERRORS[name].code];
    groups.set(status, [...(groups.get(status) ?? []), name]);
  }
  return new Map([...groups].sort(([a], [b]) => a - b));
}

export function titleOf(status: number): string {
  return STATUS_TITLES[status] ?? 'An error.';
}

/** The body of an example, as the server would send it. */
export function exampleBody(name: ErrorName): Record<string, unknown> {
  const { code, error, field, hint, more }: ErrorExample = ERRORS[name];
  const request_id = '01KAJDFQ81M6T2X0V5C9B7N3K4';
  return {
    error,
    code,
    ...(field === undefined ? {} : { field }),
    ...(hint === undefined ? {} : { hint }),
    ...more,
    request_id,
  };
}

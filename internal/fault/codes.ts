/**
 * Every code an answer can carry, with its HTTP status. Clients switch on the code: never rename
 * one.
 */
export const STATUS_OF = {
  invalid_json: 400,
  invalid_field: 400,
  invalid_cursor: 400,
  missing_api_key: 401,
  invalid_api_key: 401,
  permission_denied: 403,
  not_found: 404,
  method_not_allowed: 405,
  duplicate_memory: 409,
  name_taken: 409,
  last_admin_key: 409,
  body_too_large: 413,
  batch_too_large: 413,
  unsupported_media_type: 415,
  idempotency_key_reused: 422,
  rate_limited: 429,
  internal: 500,
  overloaded: 503,
  query_timeout: 503,
  disk_full: 503,
  log_failed: 503,
  store_unavailable: 503,
  memory_unreadable: 503,
  not_ready: 503,
  draining: 503,
  client_closed_request: 499,
} as const;

export type FaultCode = keyof typeof STATUS_OF;

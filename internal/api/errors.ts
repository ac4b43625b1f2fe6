import { Fault } from '../fault/fault.js';
import type { Host } from '../engine/services.js';

/** What went wrong, as it is counted: bounded, never a tenant's text. */
export type Rejection = string;

/** The one translator: whatever was thrown → the answer that a client may see. */
export function errorResponse(error: unknown, requestId: string, host: Host): Response {
  const fault = asFault(error);
  const { details } = fault;
  const { status } = fault;
  if (status >= 500) host.log.error({ err: error, request_id: requestId }, 'request failed');
  host.metrics.rejected(fault.code);
  const headers: Record<string, string> = {
    'content-type': 'application/json; charset=utf-8',
    'x-request-id': requestId,
  };
  const retryAfterS = details.retryAfterS ?? (status === 503 || status === 429 ? 1 : undefined);
  if (retryAfterS !== undefined) headers['retry-after'] = String(retryAfterS);
  // The rest of a refused body is not read: the connection cannot be used again.
  if (status === 413) headers['connection'] = 'close';
  const body = {
    error: fault.message,
    code: fault.code,
    field: details.field,
    hint: details.hint,
    ...details.extra,
    request_id: requestId,
  };
  return new Response(JSON.stringify(body), { status, headers });
}

/** An unexpected error tells nothing: it may hold a path, a query or a tenant's text. */
function asFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  return new Fault('internal', 'something went wrong on the server', {
    hint: 'the request_id names it in the log of the server',
    cause: error,
  });
}

import type { Host } from '../engine/services.js';
import { Fault } from '../fault/fault.js';
import type { Reply } from './http.js';

/** The one translator: whatever was thrown → the answer that a client may see. */
export function errorReply(error: unknown, requestId: string, host: Host): Reply {
  const fault = asFault(error);
  const { details } = fault;
  const { status } = fault;
  note(error, fault, requestId, host);
  host.metrics.rejected(fault.code);
  const headers: Record<string, string> = {
    'content-type': 'application/json; charset=utf-8',
    'x-request-id': requestId,
  };
  const retryAfterS = details.retryAfterS ?? (status === 503 || status === 429 ? 1 : undefined);
  if (retryAfterS !== undefined) headers['retry-after'] = String(retryAfterS);
  const body = {
    error: fault.message,
    code: fault.code,
    field: details.field,
    hint: details.hint,
    ...details.extra,
    request_id: requestId,
  };
  return { status, headers, body: JSON.stringify(body) };
}

/** An unexpected error tells nothing: it may hold a path, a query or a tenant's text. */
function asFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  return new Fault('internal', 'something went wrong on the server', {
    hint: 'the request_id names it in the log of the server',
    cause: error,
  });
}

/** A bug is an error in the log; what a 503 tells a client is known, unless it has a cause. */
function note(error: unknown, fault: Fault, requestId: string, { log }: Host): void {
  if (fault.status < 500) return;
  if (fault.code === 'internal') {
    log.error({ err: error, request_id: requestId }, 'request failed');
  } else if (fault.cause !== undefined) {
    log.warn({ code: fault.code, err: fault.cause, request_id: requestId }, 'request refused');
  } else {
    log.debug({ code: fault.code, request_id: requestId }, 'request refused');
  }
}

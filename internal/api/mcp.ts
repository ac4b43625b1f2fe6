import { require } from '../auth/caller.js';
import { known } from '../base/assert.js';
import { VERSION } from '../engine/version.js';
import { Fault, invalid } from '../fault/fault.js';
import { loadHttp } from '../mcp/lazy.js';
import type { Send, WireCall, WireReply } from '../mcp/wire.js';
import { parseJson } from './body.js';
import { errorReply } from './errors.js';
import type { Handler } from './guard.js';
import type { HttpRequest, Reply } from './http.js';
import { type ApiRequest, clientSignal, type Policy, takeBody } from './request.js';

/** The part of the route table that calls go through. */
export type McpRoutes = readonly (readonly [string, string, Policy, Handler, ...unknown[]])[];

/** JSON may write one byte of a text as six. */
const ESCAPED_BYTES = 6;
const ENVELOPE_BYTES = 64 * 1024;

/**
 * POST /mcp: one message of MCP's streamable HTTP transport. Its tools call the routes of this
 * server, in this process and for the same caller.
 */
export async function answer(request: ApiRequest, routes: McpRoutes): Promise<Reply> {
  const message = await messageOf(request);
  const { answerPost } = await loadHttp();
  const { caller, host, requestId } = request;
  const signal = clientSignal(request);
  const parts = {
    version: VERSION,
    send: sendWithin(request, routes),
    permissions: async () => caller.permissions,
    onDefect: (err: unknown) => host.log.error({ err, request_id: requestId }, 'mcp call failed'),
  };
  const headers = headersOf(request.http);
  const reply = await answerPost(parts, { message, headers, signal }).catch((error: unknown) => {
    if (!signal.aborted) throw error;
    throw new Fault('client_closed_request', 'the client went away', { cause: error });
  });
  const replied: Record<string, string> = { 'x-request-id': requestId };
  if (reply.contentType !== null) replied['content-type'] = reply.contentType;
  return { status: reply.status, headers: replied, body: reply.body === '' ? null : reply.body };
}

/** The message of a body that is as large as one tool call can be. */
async function messageOf(request: ApiRequest): Promise<unknown> {
  const { contentBytes, metadataBytes, bodyBytes } = request.host.config.limits;
  const most = ESCAPED_BYTES * (contentBytes + metadataBytes) + ENVELOPE_BYTES;
  const body = await takeBody(request, Math.min(bodyBytes, most));
  // Given back before the call: that takes its own share for the same bytes.
  body.release();
  const message = parseJson(body.bytes);
  if (!Array.isArray(message)) return message;
  const hint = 'MCP has no batches since 2025-06-18';
  throw invalid('body', 'the body must be one JSON-RPC message.', hint);
}

const SEEN_BY_TRANSPORT = ['content-type', 'mcp-protocol-version', 'mcp-session-id'];

/** Whoever takes JSON gets it; the transport would insist on text/event-stream beside it. */
function headersOf(http: HttpRequest): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of SEEN_BY_TRANSPORT) {
    const value = http.header(name);
    if (value !== undefined) headers[name] = value;
  }
  const accept = http.header('accept') ?? '*/*';
  const json = /application\/json|application\/\*|\*\/\*/i.test(accept);
  return { ...headers, accept: json ? 'application/json, text/event-stream' : accept };
}

/** Carries calls to the routes without a socket: same checks, permissions, answers and errors. */
function sendWithin(request: ApiRequest, routes: McpRoutes): Send {
  const { caller, host, requestId } = request;
  return async (call, signal) => {
    const path = `/api/v1${call.path}`;
    const found = routes.find((route) => route[0] === call.method && route[1] === path);
    const [, , policy, handler] = known(found, `the route ${call.method} ${path}`);
    const http = new InnerRequest(call, signal ?? clientSignal(request));
    try {
      if (policy !== 'any' && policy !== 'public') require(caller, policy);
      return await wireReply(await handler({ ...request, http }));
    } catch (error) {
      return wireReply(errorReply(error, requestId, host));
    }
  };
}

async function wireReply({ status, headers, body }: Reply): Promise<WireReply> {
  const text = typeof body === 'string' ? body : '';
  return { status, text, erasureId: headers['x-erasure-id'] };
}

/** A call as its route sees it. */
class InnerRequest implements HttpRequest {
  readonly url: string;
  readonly node = undefined;
  readonly web: Request | undefined;
  private readonly call: WireCall;
  private readonly ended: AbortSignal;
  private readonly body: string | null;

  constructor(call: WireCall, signal: AbortSignal) {
    this.call = call;
    this.ended = signal;
    const query = call.query === undefined ? '' : `?${new URLSearchParams(call.query)}`;
    this.url = `/api/v1${call.path.replace(':id', encodeURIComponent(call.id ?? ''))}${query}`;
    this.body = call.body === undefined ? null : JSON.stringify(call.body);
    this.web =
      this.body === null
        ? undefined
        : new Request(`http://memtrace${this.url}`, { method: call.method, body: this.body });
  }

  header(name: string): string | undefined {
    if (this.body === null) return undefined;
    if (name === 'content-type') return 'application/json';
    return name === 'content-length' ? String(Buffer.byteLength(this.body)) : undefined;
  }

  param(name: string): string {
    return name === 'id' ? (this.call.id ?? '') : '';
  }

  query(): Record<string, string[]> {
    const sent = Object.entries(this.call.query ?? {});
    return Object.fromEntries(sent.map(([name, value]) => [name, [value]]));
  }

  signal(): AbortSignal {
    return this.ended;
  }
}

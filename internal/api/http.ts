import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Context } from 'hono';

/** What a Node server hands to Hono beside the request; absent in tests without a port. */
export type Env = { Bindings: { incoming?: IncomingMessage } };

/** A request as the routes see it, whichever way it came in. */
export interface HttpRequest {
  /** Path and query. */
  readonly url: string;
  header(name: string): string | undefined;
  /** A variable of the route template; '' if it has none of this name. */
  param(name: string): string;
  /** Query parameters as sent, each with all its values. */
  query(): Record<string, string[]>;
  /** Aborted when the client goes away before its answer. */
  signal(): AbortSignal;
  /** The request of a Node server, or of a test that opens no port. */
  readonly node: IncomingMessage | undefined;
  readonly web: Request | undefined;
}

/** An answer before it is bytes. */
export interface Reply {
  status: number;
  headers: Record<string, string>;
  body: string | Buffer | ReadableStream<Uint8Array> | null;
}

/** A request that Hono routed. */
export function fromHono(c: Context<Env>): HttpRequest {
  const node = c.env?.incoming;
  return {
    url: node?.url ?? c.req.url,
    header: (name) => (node === undefined ? c.req.header(name) : headerOf(node, name)),
    param: (name) => c.req.param(name) ?? '',
    query: () => c.req.queries(),
    signal: () => c.req.raw.signal,
    node,
    web: c.req.raw,
  };
}

/**
 * A request straight from Node, for the one route where Hono's Request and Response would be a
 * quarter of the cost (server.ts). It has no variables and no query.
 */
export class BareRequest implements HttpRequest {
  readonly node: IncomingMessage;
  readonly web = undefined;

  constructor(node: IncomingMessage) {
    this.node = node;
  }

  get url(): string {
    return this.node.url ?? '';
  }

  header(name: string): string | undefined {
    return headerOf(this.node, name);
  }

  param(): string {
    return '';
  }

  query(): Record<string, string[]> {
    return {};
  }

  signal(): AbortSignal {
    const controller = new AbortController();
    this.node.once('close', () => controller.abort());
    return controller.signal;
  }
}

export function toResponse({ status, headers, body }: Reply): Response {
  return new Response(body as ConstructorParameters<typeof Response>[0], { status, headers });
}

/** Writes a reply whose body is text or its bytes. */
export function send({ status, headers, body }: Reply, outgoing: ServerResponse): void {
  const whole = typeof body === 'string' || Buffer.isBuffer(body) ? body : '';
  headers['content-length'] = String(Buffer.byteLength(whole));
  outgoing.writeHead(status, headers);
  outgoing.end(whole);
}

function headerOf(node: IncomingMessage, name: string): string | undefined {
  const value = node.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

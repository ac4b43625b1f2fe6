import * as streamable from '@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js';
import { createServer, type ServerParts } from './server.js';

/** One POST of the streamable HTTP transport, its body parsed. */
export interface McpPost {
  message: unknown;
  /** The headers that the protocol gives a meaning. */
  headers: Readonly<Record<string, string>>;
  signal: AbortSignal;
}

export interface McpReply {
  status: number;
  contentType: string | null;
  body: string;
}

/** The transport wants a URL and only looks at headers. */
const ANY_URL = 'http://memtrace/mcp';

/**
 * Answers one POST: a server and a transport of its own, with no session. So a client goes on
 * after a restart as if nothing had been, and any replica can answer. Rejects if the client goes
 * away first.
 */
export async function answerPost(parts: ServerParts, post: McpPost): Promise<McpReply> {
  const transport = new streamable.WebStandardStreamableHTTPServerTransport({
    sessionIdGenerator: undefined,
    enableJsonResponse: true,
  });
  const server = createServer(parts);
  await server.connect(transport);
  try {
    const request = new Request(ANY_URL, { method: 'POST', headers: post.headers });
    const answer = transport.handleRequest(request, { parsedBody: post.message });
    const response = await Promise.race([answer, gone(post.signal)]);
    const contentType = response.headers.get('content-type');
    return { status: response.status, contentType, body: await response.text() };
  } finally {
    // Ends the calls of a client that went away.
    await server.close();
  }
}

function gone(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => reject(signal.reason);
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail, { once: true });
  });
}

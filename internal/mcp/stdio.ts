import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { MemoryClient } from './client.js';
import { fetchSend } from './fetch.js';
import { createServer } from './server.js';
import type { StdioSettings } from './settings.js';

/**
 * Serves MCP on standard input and output until the client closes its end. Nothing but messages
 * goes to standard output; what is wrong goes to standard error.
 */
export async function serveStdio({ url, key }: StdioSettings, version: string): Promise<void> {
  const send = fetchSend({ url, key, version });
  const server = createServer({
    version,
    send,
    permissions: () => new MemoryClient(send).permissions().catch(() => null),
    onDefect: complain,
  });
  server.onerror = complain;
  // The reader has gone: there is nobody to answer.
  process.stdout.on('error', () => process.exit(0));
  await server.connect(new StdioServerTransport());
}

function complain(error: unknown): void {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`memtrace mcp: ${text}\n`);
}

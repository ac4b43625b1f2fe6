// An MCP client that remembers over a restart: it starts `memtrace mcp` and calls its tools, as
// Claude Code or Cursor do.
// Usage: MEMTRACE_API_KEY=mtk_… [MEMTRACE_URL=http://127.0.0.1:9100] node examples/mcp/main.mjs
import { fileURLToPath } from 'node:url';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

const program = fileURLToPath(new URL('../../dist/cmd/memtrace/main.js', import.meta.url));
const { MEMTRACE_API_KEY = '', MEMTRACE_URL = 'http://127.0.0.1:9100', PATH = '' } = process.env;
const transport = new StdioClientTransport({
  command: process.execPath,
  args: [program, 'mcp'],
  env: { MEMTRACE_API_KEY, MEMTRACE_URL, PATH },
});
const client = new Client({ name: 'example', version: '1.0.0' });
await client.connect(transport);

async function call(name, args) {
  const result = await client.callTool({ name, arguments: args });
  if (result.isError) throw new Error(result.content[0].text);
  return result.content[0].text;
}

const session_id = 'sess_mcp';
const run = new Date().toISOString();
await call('memtrace_remember', {
  agent_id: 'crawler',
  session_id,
  content: `Crawled https://example.com and found 3 product pages (run ${run})`,
});
await call('memtrace_decide', {
  agent_id: 'crawler',
  session_id,
  decision: `Skip pagination (run ${run})`,
  reasoning: 'only 2 pages deep',
});
process.stdout.write('What this crawler remembers:\n');
process.stdout.write(`${await call('memtrace_session_context', { session_id })}\n`);
await client.close();

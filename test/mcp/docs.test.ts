import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import toml from 'toml';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TOOLS } from '../../internal/mcp/tools.js';
import { cleanEnv, PROGRAM, startServer, type TestServer } from '../support/server.js';

/** The page of clients: its snippets connect, and both languages have the same. */
const ROOT = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const english = read('docs/mcp.md');
const chinese = read('docs/mcp.zh-CN.md');

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

interface Entry {
  command?: string;
  args?: string[];
  env?: Record<string, string>;
  url?: string;
  headers?: Record<string, string>;
  bearer_token_env_var?: string;
}

function snippets(page: string, language: string): string[] {
  const blocks = page.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'));
  return [...blocks].map(([, code]) => code);
}

/** The entries with this test's server, key and program where a user puts their own. */
function entries(page: string): Entry[] {
  const put = (code: string) =>
    code
      .replaceAll('http://127.0.0.1:9100', server.url)
      .replaceAll(/mtk_YOUR_KEY|\$\{(env:|input:)?[\w-]+\}/g, server.key)
      .replaceAll('/path/to/memtrace/dist/cmd/memtrace/main.js', PROGRAM);
  const configs = [
    ...snippets(page, 'json').map((code) => JSON.parse(put(code))),
    ...snippets(page, 'toml').map((code) => toml.parse(put(code))),
  ];
  return configs.map((config) => {
    const servers = config.mcpServers ?? config.servers ?? config.mcp_servers;
    return servers.memtrace as Entry;
  });
}

function transportOf(entry: Entry): StdioClientTransport | StreamableHTTPClientTransport {
  if (entry.command !== undefined) {
    expect(entry.command).toBe('node');
    const { args, env = {} } = entry;
    return new StdioClientTransport({ command: process.execPath, args, env: cleanEnv(env) });
  }
  const bearer: Record<string, string> =
    entry.bearer_token_env_var === 'MEMTRACE_API_KEY'
      ? { authorization: `Bearer ${server.key}` }
      : {};
  const requestInit = { headers: { ...entry.headers, ...bearer } };
  return new StreamableHTTPClientTransport(new URL(entry.url ?? ''), { requestInit });
}

test('every snippet connects', async () => {
  const all = entries(english);
  expect(all).toHaveLength(6);
  for (const entry of all) {
    const client = new Client({ name: 'docs', version: '1.0.0' });
    await client.connect(transportOf(entry));
    expect((await client.listTools()).tools).toHaveLength(8);
    await client.close();
  }
});

test('both languages have the same snippets, headings and rows', () => {
  for (const language of ['sh', 'json', 'toml']) {
    expect(snippets(chinese, language)).toEqual(snippets(english, language));
  }
  const marks = (page: string) => [...page.matchAll(/^(#+) /gm)].map(([, one]) => one);
  expect(marks(chinese)).toEqual(marks(english));
  const rows = (page: string) => page.split('\n').filter((line) => line.startsWith('|')).length;
  expect(rows(chinese)).toBe(rows(english));
});

test('the table of tools is that of the server', () => {
  for (const { name, permission, inputSchema } of TOOLS) {
    for (const page of [english, chinese]) {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${name}\``)) ?? '';
      expect(row.endsWith(`| ${permission} |`)).toBe(true);
      for (const argument of Object.keys(inputSchema.properties)) expect(row).toContain(argument);
      for (const argument of inputSchema.required ?? []) expect(row).toContain(`**${argument}**`);
    }
  }
});

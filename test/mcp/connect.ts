import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { cleanEnv, PROGRAM } from '../support/server.js';

export type Kind = 'stdio' | 'http';
export const KINDS: readonly Kind[] = ['stdio', 'http'];

/** A client of the SDK that has shaken hands. */
export async function connect(kind: Kind, url: string, key: string): Promise<Client> {
  const client = new Client({ name: 'memtrace-test', version: '1.0.0' });
  await client.connect(kind === 'stdio' ? stdio(url, key) : http(url, key));
  return client;
}

function http(url: string, key: string): StreamableHTTPClientTransport {
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  return new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit });
}

function stdio(url: string, key: string): StdioClientTransport {
  const env = cleanEnv({ MEMTRACE_URL: url, MEMTRACE_API_KEY: key });
  return new StdioClientTransport({ command: process.execPath, args: [PROGRAM, 'mcp'], env });
}

export interface Called {
  /** The one text of the result. */
  text: string;
  failed: boolean;
  /** The structured content; of a failure, its text as JSON. */
  value: Record<string, unknown>;
}

/** Calls `memtrace_<name>`. The SDK's client holds results to the tool's output schema. */
export async function call(
  client: Client,
  name: string,
  args: Record<string, unknown>,
): Promise<Called> {
  const result = await client.callTool({ name: `memtrace_${name}`, arguments: args });
  const [{ type, text }] = result.content as { type: string; text: string }[];
  if (type !== 'text') throw new Error(`content of type ${type}`);
  const failed = result.isError === true;
  const value = failed ? JSON.parse(text) : result.structuredContent;
  return { text, failed, value: value as Record<string, unknown> };
}

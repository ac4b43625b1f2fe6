import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { startServer, type TestServer, tempDir } from './support.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const examples = join(root, '../../examples');
const tsx = join(root, '../../node_modules/.bin/tsx');

/** The example as `npm install` lays it out, from what is installed here. */
function installed(name: string): string {
  const folder = tempDir();
  cpSync(join(examples, name), folder, { recursive: true });
  const packages = ['@openai/agents', '@langchain/core', '@langchain/langgraph', 'ai', 'zod'];
  const links: [string, string][] = packages.map((p) => [p, join(root, 'node_modules', p)]);
  for (const [as, to] of [...links, ['@memtrace/sdk', root] as const]) {
    const link = join(folder, 'node_modules', as);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(to, link);
  }
  return folder;
}

async function start(folder: string, server: TestServer): Promise<string> {
  const env = {
    PATH: process.env['PATH'],
    HOME: process.env['HOME'],
    MEMTRACE_URL: server.url,
    MEMTRACE_API_KEY: server.key,
  };
  return (await run(tsx, ['main.ts'], { cwd: folder, env })).stdout;
}

it.each([
  ['crawler-typescript', 'Nothing remembered', '/teapots: 12 teapots', 'Crawling /cups'],
  ['openai-agents-typescript', '0 items', 'user: Crawl /teapots', 'I crawled /cups'],
  ['langgraph-typescript', '0 messages', 'human: Crawl /teapots', 'I crawled /cups'],
  ['ai-sdk-typescript', 'told of 0 memories', 'user_message: Crawl /cups', 'told of 2 memories'],
])('%s remembers after the server was killed', async (name, first, remembered, then) => {
  const dataDir = tempDir();
  const folder = installed(name);
  let server = await startServer({ dataDir });
  const before = await start(folder, server);
  expect(before).toContain(first);
  expect(before).not.toContain(remembered === '/teapots: 12 teapots' ? 'Remembered' : remembered);
  await server.kill9();
  server = await startServer({ dataDir });
  const after = await start(folder, server);
  expect(after).toContain(remembered);
  expect(after).toContain(then);
  await server.stop();
});

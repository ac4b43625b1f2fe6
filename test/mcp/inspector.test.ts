import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cleanEnv, PROGRAM, startServer, type TestServer } from '../support/server.js';

/** The protocol's official inspector, which knows nothing of this project. */
const INSPECTOR = createRequire(import.meta.url).resolve('@modelcontextprotocol/inspector-cli');
const run = promisify(execFile);

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

function targets(): [string, string[]][] {
  const http = [`${server.url}/mcp`, '--transport', 'http', '--header', `x-api-key: ${server.key}`];
  return [
    ['http', http],
    ['stdio', [process.execPath, PROGRAM, 'mcp']],
  ];
}

async function inspect(target: string[], ...args: string[]): Promise<Record<string, unknown>> {
  const env = cleanEnv({ MEMTRACE_URL: server.url, MEMTRACE_API_KEY: server.key });
  // It looks for its package.json from where it is started.
  const options = { env, cwd: dirname(INSPECTOR) };
  const { stdout } = await run(process.execPath, [INSPECTOR, '--cli', ...target, ...args], options);
  return JSON.parse(stdout) as Record<string, unknown>;
}

test('lists and calls over both transports', async () => {
  for (const [kind, target] of targets()) {
    const { tools } = await inspect(target, '--method', 'tools/list');
    expect(tools).toHaveLength(8);
    const remember = ['--method', 'tools/call', '--tool-name', 'memtrace_remember'];
    const args = ['--tool-arg', `agent_id=inspector_${kind}`, '--tool-arg', 'content=looked at'];
    expect(await inspect(target, ...remember, ...args)).toMatchObject({
      structuredContent: { content: 'looked at' },
    });
    const read = await inspect(target, '--method', 'resources/read', '--uri', 'memtrace://agents');
    expect(read).toMatchObject({ contents: [{ mimeType: 'application/json' }] });
    const { prompts } = await inspect(target, '--method', 'prompts/list');
    expect(prompts).toHaveLength(2);
  }
});

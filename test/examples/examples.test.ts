import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { startServer, tempDir } from '../support/server.js';

/** Each example runs twice, with a kill -9 of the server in between: the second run remembers both. */
const ROOT = resolve(import.meta.dirname, '../..');

test.each([
  ['curl', 'bash', ['examples/curl/run.sh']],
  ['MCP', process.execPath, ['examples/mcp/main.mjs']],
])('the %s example remembers over a restart', async (_, command, args) => {
  const dataDir = tempDir();
  const outputs: string[] = [];
  for (let turn = 0; turn < 2; turn++) {
    const server = await startServer({ dataDir });
    const { PATH = '', HOME = '' } = process.env;
    const env = { PATH, HOME, MEMTRACE_URL: server.url, MEMTRACE_API_KEY: server.key };
    const words = args.map((word) => join(ROOT, word));
    const done = spawnSync(command, words, { env, encoding: 'utf8', timeout: 30_000 });
    await server.kill9();
    expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' });
    outputs.push(done.stdout);
    await new Promise((next) => setTimeout(next, 1_100));
  }
  const entries = (text: string) => text.split('\n').filter((line) => line.startsWith('- ['));
  expect(entries(outputs[0])).toHaveLength(2);
  expect(entries(outputs[1])).toHaveLength(4);
});

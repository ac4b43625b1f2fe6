import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer, type TestServer } from './support.js';

const run = promisify(execFile);
const SMOKE = join(import.meta.dirname, 'smoke.mjs');
const RUNTIMES: [string, string, string[]][] = [
  ['node', process.execPath, []],
  ['deno', 'deno', ['run', '--allow-net', '--allow-env']],
  ['bun', 'bun', ['run']],
];

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  await server?.stop();
});

describe.each(RUNTIMES)('on %s', (name, command, args) => {
  const found = spawnSync(command, ['--version']).status === 0;
  if (!found) console.warn(`skipped: ${name} is not on PATH (npm install deno bun has it)`);

  it.skipIf(!found)('the built package does what it should', async () => {
    const options = {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NO_COLOR: '1' },
    };
    const argv = [...args, SMOKE, server.url, server.key, `agent_${name}`];
    expect((await run(command, argv, options)).stdout.trim()).toBe('ok');
  });
});

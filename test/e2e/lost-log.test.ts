import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { type Api, api } from '../support/api.js';
import { cli } from '../support/cli.js';
import type { Memory } from '../support/memory.js';
import { filesWith } from '../support/raw-files.js';
import { startServer, type TestServer, tempDir } from '../support/server.js';

/** The directory of the log is lost between two starts: what was deleted stays deleted. */
const ENV = { MEMTRACE_COMPACTION_ENABLED: 'false', MEMTRACE_BUFFER_MAX_AGE: '100ms' };
const dataDir = tempDir('memtrace-lost-log-');
let server: TestServer | null = null;
afterAll(async () => {
  await server?.stop();
});

/** Everything is in files when a server was stopped; then its log goes. */
async function restart(): Promise<Api> {
  await server?.stop();
  await rm(join(dataDir, 'wal'), { recursive: true, force: true });
  server = await startServer({ dataDir, env: ENV });
  return api(server);
}

async function write(client: Api, session: string): Promise<void> {
  const memories = Array.from({ length: 3 }, (_, i) => ({
    agent_id: 'bot',
    session_id: session,
    content: `SECRET-${session}-${i}`,
    dedup_key: `${session}-${i}`,
  }));
  const { status, body } = await client.post('/memories', { memories });
  expect(status).toBe(201);
  expect(body).toMatchObject({ count: 3, duplicates: 0 });
}

async function flushed(client: Api): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const { body } = await client.get<string>('/metrics');
    if (/^memtrace_buffer_size 0$/m.test(body)) return;
    await sleep(50);
  }
  throw new Error('the buffer was never flushed');
}

async function sessions(client: Api): Promise<Record<string, number>> {
  const { body } = await client.get<{ memories: Memory[] }>('/memories?limit=1000');
  const counts: Record<string, number> = {};
  for (const { session_id } of body.memories) {
    counts[session_id ?? ''] = (counts[session_id ?? ''] ?? 0) + 1;
  }
  return counts;
}

test('a deletion before the loss and one after it cover the files of before', async () => {
  let client = await restart();
  for (const session of ['a', 'b', 'c']) await write(client, session);
  await flushed(client);
  expect((await client.del('/memories?session_id=a')).body).toMatchObject({ deleted: 3 });

  client = await restart();
  expect(await sessions(client)).toEqual({ b: 3, c: 3 });
  expect((await client.del('/memories?session_id=b')).body).toMatchObject({ deleted: 3 });
  expect(await sessions(client)).toEqual({ c: 3 });
  await write(client, 'b');
  const again = { agent_id: 'bot', content: 'x', dedup_key: 'c-0' };
  expect((await client.post('/memories', again)).status).toBe(409);

  client = await restart();
  expect(await sessions(client)).toEqual({ b: 3, c: 3 });
  const third = { agent_id: 'bot', content: 'x', dedup_key: 'b-0' };
  expect((await client.post('/memories', third)).status).toBe(409);
  expect((await client.del('/memories?session_id=b')).body).toMatchObject({ deleted: 3 });
  for (let tries = 0; tries < 40; tries++) {
    const { stdout } = await cli(dataDir, ['compact', '--json']);
    if ((JSON.parse(stdout) as { erasuresPending: number }).erasuresPending === 0) break;
    await sleep(250);
  }
  expect(await sessions(client)).toEqual({ c: 3 });
  for (const session of ['a', 'b']) {
    expect(await filesWith(dataDir, `SECRET-${session}-`), session).toEqual([]);
  }
  expect(await filesWith(dataDir, 'SECRET-c-')).not.toEqual([]);
});

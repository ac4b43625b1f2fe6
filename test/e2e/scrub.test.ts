import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { api } from '../support/api.js';
import { filesWith } from '../support/raw-files.js';
import { startServer, type TestServer, tempDir } from '../support/server.js';

/** A server that reads its files again within seconds. */
const ENV = {
  MEMTRACE_BUFFER_MAX_AGE: '200ms',
  MEMTRACE_COMPACTION_ENABLED: 'false',
  MEMTRACE_SCRUB_INTERVAL: '2s',
};
const dataDir = tempDir('memtrace-scrub-');
let server: TestServer;
afterAll(() => server.stop());

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

async function until(name: string, good: (value: number) => boolean): Promise<number> {
  for (let tries = 0; ; tries++) {
    const value = await metric(name);
    if (good(value) || tries === 150) return value;
    await sleep(100);
  }
}

test('a bit that flips after the file was first opened is found while nobody asks', async () => {
  server = await startServer({ dataDir, env: ENV });
  const client = api(server);
  const { status } = await client.post('/memories', { agent_id: 'bot', content: 'to be damaged' });
  expect(status).toBe(201);
  await until('memtrace_partitions', (files) => files === 1);
  const whole = (await client.get('/memories')).body;
  expect(whole).toMatchObject({ count: 1 });
  expect(whole).not.toHaveProperty('incomplete');
  expect(await until('memtrace_scrub_bytes_total', (bytes) => bytes > 0)).toBeGreaterThan(0);
  expect(await metric('memtrace_scrub_oldest_seconds')).toBeLessThan(10);
  const [path] = await filesWith(join(dataDir, 'events'), 'PAR1');
  const bytes = readFileSync(path);
  bytes[Math.floor(bytes.length / 3)] ^= 16;
  writeFileSync(path, bytes);
  expect(await until('memtrace_scrub_damaged_files_total', (n) => n > 0)).toBe(1);
  expect(await metric('memtrace_partitions_quarantined')).toBe(1);
  expect(server.logs.some((line) => line.includes('a file is damaged'))).toBe(true);
  expect((await client.get('/memories')).body).toMatchObject({ count: 0, incomplete: true });
  expect((await server.stop()).code).toBe(0);
  server = await startServer({ dataDir, env: ENV });
  expect((await api(server).get('/memories')).body).toMatchObject({ count: 0, incomplete: true });
});

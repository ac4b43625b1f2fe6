import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { clientOf, startServer, tempDir } from './support.js';

const EVENTS = 12_000;

it('stores every event once although the server is killed and started again', async () => {
  const dataDir = tempDir();
  let server = await startServer({ dataDir });
  // The server has another port after each start; a client sees one address.
  const redirected = ((input: string, init: RequestInit) =>
    fetch(input.replace('http://memtrace', server.url), init)) as typeof fetch;
  const client = clientOf(server, { baseUrl: 'http://memtrace', fetch: redirected });
  const batcher = client.batcher({ maxItems: 100, lanes: 3, maxDelay: 5 });

  const adding = (async () => {
    for (let i = 0; i < EVENTS; i += 1) {
      await batcher.add({ agent_id: `crash_${i % 5}`, content: `event ${i}`, tags: [`n${i}`] });
      if (i % 200 === 0) await sleep(10);
    }
  })();
  for (let kills = 0; kills < 3; kills += 1) {
    await sleep(120);
    await server.kill9();
    await sleep(50);
    server = await startServer({ dataDir });
  }
  await adding;
  await batcher.close();
  expect(batcher.stats).toMatchObject({ added: EVENTS, acknowledged: EVENTS, failed: 0 });

  for (let agent = 0; agent < 5; agent += 1) {
    const list = { agent_id: `crash_${agent}`, order: 'asc', limit: 1000 } as const;
    const numbers: number[] = [];
    for await (const m of client.memories.list(list)) numbers.push(Number(m.tags?.[0].slice(1)));
    expect(numbers).toEqual(Array.from({ length: EVENTS / 5 }, (_, i) => 5 * i + agent));
  }
  await server.stop();
});

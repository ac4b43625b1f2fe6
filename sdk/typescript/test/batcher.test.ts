import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeliveryError, type MemoryInput, type Memtrace } from '../src/index.js';
import { Stamps } from '../src/stamp.js';
import { clientOf, serverAndClient, type TestServer } from './support.js';

let server: TestServer;
let client: Memtrace;

beforeAll(async () => {
  ({ server, client } = await serverAndClient());
});
afterAll(async () => {
  await server?.stop();
});

async function contentsOf(agent_id: string): Promise<string[]> {
  const memories = await client.memories.list({ agent_id, order: 'asc', limit: 1000 }).toArray();
  return memories.map((m) => m.content);
}

/** The real fetch, slowed down or broken by a test, and the requests that it was given. */
function watched(before: (nth: number) => Promise<void> | void) {
  const sizes: number[] = [];
  const busy = { now: 0, most: 0 };
  const wrapped = async (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
    const { memories } = JSON.parse(String(init?.body)) as { memories: unknown[] };
    sizes.push(memories.length);
    busy.now += 1;
    busy.most = Math.max(busy.most, busy.now);
    try {
      await before(sizes.length);
      return await fetch(input, init);
    } finally {
      busy.now -= 1;
    }
  };
  return { fetch: wrapped as typeof fetch, sizes, busy };
}

describe('stamps', () => {
  it('increase by microseconds within a millisecond, and when the clock goes back', () => {
    let now = Date.parse('2026-11-21T08:00:00.001Z');
    const stamps = new Stamps(() => now);
    expect(stamps.next()).toBe('2026-11-21T08:00:00.001000Z');
    expect(stamps.next()).toBe('2026-11-21T08:00:00.001001Z');
    now -= 5;
    for (let i = 2; i < 1_000; i += 1) stamps.next();
    expect(stamps.next()).toBe('2026-11-21T08:00:00.002000Z');
    now += 10;
    expect(stamps.next()).toBe('2026-11-21T08:00:00.006000Z');
  });
});

describe('the batcher', () => {
  it('stores everything once and in order when flushed', async () => {
    const batcher = client.batcher({ maxItems: 100, lanes: 1 });
    const wanted = Array.from({ length: 1_234 }, (_, i) => `event ${i}`);
    for (const content of wanted) await batcher.add({ agent_id: 'order', content });
    await batcher.flush();
    expect(await contentsOf('order')).toEqual(wanted);
    expect(batcher.stats).toEqual({
      added: 1_234,
      acknowledged: 1_234,
      failed: 0,
      dropped: 0,
      bufferedBytes: 0,
    });
    await batcher.close();
    await expect(batcher.add({ agent_id: 'order', content: 'late' })).rejects.toThrow('closed');
  });

  it('keeps equal events apart, and leaves that to the server if told so', async () => {
    const stamping = client.batcher();
    for (let i = 0; i < 3_000; i += 1) await stamping.add({ agent_id: 'equal', content: 'yes' });
    await stamping.close();
    expect(await contentsOf('equal')).toHaveLength(3_000);
    const plain = client.batcher({ stampTime: false });
    for (const content of ['no', 'no']) await plain.add({ agent_id: 'plain', content });
    await plain.close();
    expect(await contentsOf('plain')).toEqual(['no']);
  });

  it('sends after a while what does not fill a batch', async () => {
    const batcher = client.batcher({ maxDelay: 20 });
    await batcher.add({ agent_id: 'delay', content: 'alone' });
    await expect.poll(() => contentsOf('delay')).toEqual(['alone']);
    await batcher.close();
  });

  it('cuts batches by items and by bytes, one under way in each lane', async () => {
    const { fetch, sizes, busy } = watched(() => sleep(5));
    const slow = clientOf(server, { fetch });
    const batcher = slow.batcher({ maxItems: 10, maxBytes: 1_000, lanes: 2, maxDelay: 5 });
    for (let i = 0; i < 100; i += 1) {
      const agent_id = `cut_${i % 4}`;
      await batcher.add({ agent_id, content: i < 50 ? `short ${i}` : 'y'.repeat(400) + i });
    }
    await batcher.close();
    expect(Math.max(...sizes)).toBeLessThanOrEqual(10);
    expect(sizes.slice(-10).every((size) => size <= 2)).toBe(true);
    expect(busy.most).toBe(2);
    const numbers = (await contentsOf('cut_3')).map((c) => Number(/\d+$/.exec(c)?.[0]));
    expect(numbers).toEqual(Array.from({ length: 25 }, (_, i) => 4 * i + 3));
  });

  it('blocks when its buffer is full, and loses nothing', async () => {
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { fetch } = watched(() => gate);
    const batcher = clientOf(server, { fetch }).batcher({ maxBufferedBytes: 2_000, maxItems: 5 });
    let added = 0;
    const adding = (async () => {
      for (let i = 0; i < 200; i += 1) {
        await batcher.add({ agent_id: 'block', content: `event ${i}` });
        added += 1;
      }
    })();
    await sleep(50);
    expect(added).toBeLessThan(40);
    expect(batcher.stats.bufferedBytes).toBeLessThanOrEqual(2_000);
    open();
    await adding;
    await batcher.close();
    expect(await contentsOf('block')).toHaveLength(200);
  });

  it('counts events that nobody waited for in a flush', async () => {
    const batcher = client.batcher({ maxBufferedBytes: 500, maxItems: 3 });
    for (let i = 0; i < 50; i += 1) {
      void batcher.add({ agent_id: 'unawaited', content: `event ${i}` });
    }
    await batcher.flush();
    expect(await contentsOf('unawaited')).toHaveLength(50);
    await batcher.close();
  });

  it('drops when told so, and tells what', async () => {
    const dropped: MemoryInput[] = [];
    const { fetch } = watched(() => sleep(50));
    const batcher = clientOf(server, { fetch }).batcher({
      maxBufferedBytes: 1_000,
      whenFull: 'drop',
      onDrop: (event) => dropped.push(event),
    });
    for (let i = 0; i < 100; i += 1) await batcher.add({ agent_id: 'drop', content: `e ${i}` });
    await batcher.close();
    const stored = await contentsOf('drop');
    expect(dropped.length).toBeGreaterThan(0);
    expect(stored.length + dropped.length).toBe(100);
    expect(batcher.stats.dropped).toBe(dropped.length);
  });

  it('tells what the server refused, and stores the rest', async () => {
    const refused: MemoryInput[] = [];
    const batcher = client.batcher({ onError: (_, events) => refused.push(...events), lanes: 1 });
    for (let i = 0; i < 30; i += 1) {
      await batcher.add({ agent_id: 'refuse', content: `e ${i}`, importance: i % 10 ? 0 : 7 });
    }
    const error = await batcher.flush().catch((e) => e);
    expect(error).toBeInstanceOf(DeliveryError);
    expect(error.failed).toBe(3);
    expect(error.message).toContain('importance');
    expect(refused.map((event) => event.content)).toEqual(['e 0', 'e 10', 'e 20']);
    expect(await contentsOf('refuse')).toHaveLength(27);
    await expect(batcher.close()).resolves.toBeUndefined();
  });

  it('halves a batch that is too large for the server', async () => {
    const batcher = client.batcher({ maxItems: 3_000, maxBytes: 1e8, lanes: 1 });
    for (let i = 0; i < 2_500; i += 1) await batcher.add({ agent_id: 'large', content: `e ${i}` });
    await batcher.close();
    expect(await contentsOf('large')).toEqual(Array.from({ length: 2_500 }, (_, i) => `e ${i}`));
  });

  it('gives up at once with a key that is not allowed', async () => {
    const batcher = clientOf(server, { apiKey: 'mtk_wrong' }).batcher();
    await batcher.add({ agent_id: 'x', content: 'y' });
    await expect(batcher.close()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
  });

  it('ends in bounded time when it cannot reach the server', async () => {
    const left: MemoryInput[] = [];
    const nowhere = clientOf(server, { baseUrl: 'http://127.0.0.1:9' });
    const batcher = nowhere.batcher({ onError: (_, events) => left.push(...events), maxItems: 2 });
    for (let i = 0; i < 5; i += 1) await batcher.add({ agent_id: 'x', content: `e ${i}` });
    const closing = batcher.close({ signal: AbortSignal.timeout(100) });
    await expect(closing).rejects.toBeInstanceOf(DeliveryError);
    expect(left).toHaveLength(5);
  });

  it('sends the same bytes and key again when an answer is lost', async () => {
    const lossy = async (input: Parameters<typeof fetch>[0], init?: RequestInit) => {
      const response = await fetch(input, init);
      await response.text();
      if (Math.random() < 0.5) throw new TypeError('the answer was lost');
      return new Response('{}', { status: response.status });
    };
    const batcher = clientOf(server, { fetch: lossy as typeof fetch }).batcher({ maxItems: 50 });
    for (let i = 0; i < 300; i += 1) await batcher.add({ agent_id: 'lossy', content: 'same' });
    await batcher.close();
    expect(await contentsOf('lossy')).toHaveLength(300);
  });
});

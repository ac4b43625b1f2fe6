import { describe, expect, it, vi } from 'vitest';
import { backoffMs } from '../src/backoff.js';
import { errorOf, retryAfterMs } from '../src/errors.js';
import { Memtrace } from '../src/index.js';

interface Seen {
  method: string;
  url: string;
  key: string | null;
  body: unknown;
}

/** A fetch that answers from a script, and what it was called with. */
function scripted(...script: (Response | Error)[]): { fetch: typeof fetch; seen: Seen[] } {
  const seen: Seen[] = [];
  const fake = async (input: unknown, init: RequestInit = {}) => {
    const key = new Headers(init.headers).get('idempotency-key');
    seen.push({ method: String(init.method), url: String(input), key, body: init.body });
    const step = script[Math.min(seen.length, script.length) - 1];
    if (step instanceof Error) throw step;
    return step.clone();
  };
  return { fetch: fake as typeof fetch, seen };
}

const answer = (status: number, body: unknown = {}, headers = {}) =>
  new Response(status === 204 ? null : JSON.stringify(body), { status, headers });
const memory = { id: 'mem_1', content: 'x' };
const busy = answer(503, { error: 'busy', code: 'overloaded', request_id: 'r1' });
const lost = new TypeError('fetch failed', { cause: new Error('ECONNRESET') });
const options = { baseUrl: 'http://server/', apiKey: 'mtk_1' };

// Full jitter with nothing to wait for.
vi.spyOn(Math, 'random').mockReturnValue(0);

describe('a write', () => {
  it('is sent again with the same key and bytes until it is answered', async () => {
    const { fetch, seen } = scripted(lost, busy, answer(502), answer(429), answer(201, memory));
    const client = new Memtrace({ ...options, fetch });
    expect(await client.remember('a', 'x')).toEqual(memory);
    expect(seen).toHaveLength(5);
    expect(new Set(seen.map((s) => s.key)).size).toBe(1);
    expect(seen[0].key).toMatch(/^[\x21-\x7e]{1,128}$/);
    expect(new Set(seen.map((s) => s.body)).size).toBe(1);
    expect(seen[0].url).toBe('http://server/api/v1/memories');
    await client.remember('a', 'x');
    expect(seen[5].key).not.toBe(seen[0].key);
  });

  it('keeps the key of its caller', async () => {
    const { fetch, seen } = scripted(answer(201, memory));
    const client = new Memtrace({ ...options, fetch });
    await client.memories.add({ agent_id: 'a', content: 'x' }, { idempotencyKey: 'mine' });
    expect(seen[0].key).toBe('mine');
  });

  it('gives up after so many retries, with the last error', async () => {
    const { fetch, seen } = scripted(busy);
    const client = new Memtrace({ ...options, fetch, retries: 2 });
    await expect(client.remember('a', 'x')).rejects.toMatchObject({
      code: 'overloaded',
      requestId: 'r1',
    });
    expect(seen).toHaveLength(3);
  });

  it('is not sent again when the request is wrong', async () => {
    for (const status of [400, 401, 403, 404, 409, 413, 422, 500]) {
      const { fetch, seen } = scripted(answer(status, { error: 'no', code: 'x' }));
      const client = new Memtrace({ ...options, fetch });
      await expect(client.remember('a', 'x')).rejects.toMatchObject({ status });
      expect(seen).toHaveLength(1);
    }
  });

  it('of a key is sent again only if the server refused it', async () => {
    const gone = scripted(lost);
    const client = new Memtrace({ ...options, fetch: gone.fetch });
    await expect(client.keys.create({ name: 'k' })).rejects.toMatchObject({ status: 0 });
    expect(gone.seen).toHaveLength(1);
    const refused = scripted(busy, answer(201, { key: 'mtk_2' }));
    const again = new Memtrace({ ...options, fetch: refused.fetch });
    expect(await again.keys.create({ name: 'k' })).toEqual({ key: 'mtk_2' });
  });
});

describe('a deletion', () => {
  it('whose answer was lost has succeeded when the thing is gone', async () => {
    const { fetch, seen } = scripted(lost, answer(404, { error: 'no', code: 'not_found' }));
    const client = new Memtrace({ ...options, fetch });
    await expect(client.memories.delete('mem_1')).resolves.toEqual({});
    expect(seen).toHaveLength(2);
    const first = scripted(answer(404, { error: 'no', code: 'not_found' }));
    const other = new Memtrace({ ...options, fetch: first.fetch });
    await expect(other.memories.delete('mem_1')).rejects.toMatchObject({ status: 404 });
  });
});

describe('waiting', () => {
  it('doubles, is jittered, and is never shorter than Retry-After', () => {
    expect([1, 2, 3, 10, 100].map((n) => backoffMs(n, 0, () => 1))).toEqual([
      200, 400, 800, 5_000, 5_000,
    ]);
    expect(backoffMs(3, 0, () => 0)).toBe(0);
    expect(backoffMs(1, 2_000, () => 0.5)).toBe(2_100);
  });

  it('reads Retry-After as seconds and as a date', () => {
    expect(retryAfterMs('2')).toBe(2_000);
    expect(retryAfterMs('0')).toBe(0);
    const now = Date.parse('2026-11-21T08:00:00Z');
    expect(retryAfterMs('Sat, 21 Nov 2026 08:00:03 GMT', now)).toBe(3_000);
    expect(retryAfterMs('Sat, 21 Nov 2026 07:00:00 GMT', now)).toBe(0);
    expect(retryAfterMs('soon')).toBeUndefined();
    expect(retryAfterMs(null)).toBeUndefined();
  });

  it('honours Retry-After, and does not wait for hours', async () => {
    const later = answer(429, { error: 'slow', code: 'rate_limited' }, { 'retry-after': '0.05' });
    const { fetch, seen } = scripted(later, answer(201, memory));
    const started = performance.now();
    await new Memtrace({ ...options, fetch }).remember('a', 'x');
    expect(performance.now() - started).toBeGreaterThan(45);
    expect(seen).toHaveLength(2);
    const hours = answer(429, { error: 'slow', code: 'rate_limited' }, { 'retry-after': '7200' });
    const patient = scripted(hours);
    await expect(
      new Memtrace({ ...options, fetch: patient.fetch }).remember('a', 'x'),
    ).rejects.toMatchObject({ retryAfter: 7_200_000 });
    expect(patient.seen).toHaveLength(1);
  });
});

/** A fetch that never answers, but can be aborted. */
const deaf = ((_: unknown, init: RequestInit) =>
  new Promise((_resolve, reject) => {
    const { signal } = init;
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener('abort', () => reject(signal.reason));
  })) as typeof fetch;

describe('a signal and a timeout', () => {
  it('end a call with the reason of its caller', async () => {
    const client = new Memtrace({ ...options, fetch: deaf });
    const controller = new AbortController();
    const call = client.memories.get('mem_1', { signal: controller.signal });
    const reason = new Error('changed my mind');
    controller.abort(reason);
    await expect(call).rejects.toBe(reason);
    await expect(client.memories.get('m', { signal: controller.signal })).rejects.toBe(reason);
    await expect(client.memories.list({}, { signal: controller.signal })).rejects.toBe(reason);
  });

  it('end a call while it waits to be sent again', async () => {
    const slow = answer(503, { error: 'busy', code: 'overloaded' }, { 'retry-after': '30' });
    const { fetch } = scripted(slow);
    const signal = AbortSignal.timeout(30);
    const call = new Memtrace({ ...options, fetch }).memories.get('mem_1', { signal });
    await expect(call).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  it('end a try that takes too long', async () => {
    const client = new Memtrace({ ...options, fetch: deaf, timeout: 20, retries: 1 });
    await expect(client.remember('a', 'x')).rejects.toMatchObject({
      name: 'TimeoutError',
      code: 'timeout',
      status: 0,
    });
  });

  it('leave nothing behind on a signal that lives on', async () => {
    const { fetch } = scripted(answer(200, {}));
    const controller = new AbortController();
    const added = vi.spyOn(controller.signal, 'addEventListener');
    const removed = vi.spyOn(controller.signal, 'removeEventListener');
    await new Memtrace({ ...options, fetch }).keys.self({ signal: controller.signal });
    expect(added).toHaveBeenCalledTimes(1);
    expect(removed).toHaveBeenCalledTimes(1);
  });
});

describe('errors', () => {
  it('are made of whatever was answered', () => {
    const redirected = errorOf(new Response(null, { status: 302 }), '');
    expect(redirected).toMatchObject({ status: 302, code: 'invalid_response' });
    const proxy = errorOf(new Response('', { status: 502 }), '<h1>Bad gateway</h1>');
    expect(proxy).toMatchObject({ name: 'ServerError', status: 502 });
  });
});

describe('a truncated export', () => {
  const lines = (text: string) => scripted(new Response(text)).fetch;
  const exported = async (text: string) => {
    const contents: unknown[] = [];
    const client = new Memtrace({ ...options, fetch: lines(text) });
    for await (const m of client.memories.export()) contents.push(m.content);
    return contents;
  };
  it('is an error, wherever it was cut', async () => {
    const whole = '{"content":"a"}\n{"content":"ü"}\n{"end":true,"count":2}\n';
    expect(await exported(whole)).toEqual(['a', 'ü']);
    for (let length = 0; length < whole.length - 1; length += 1) {
      await expect(exported(whole.slice(0, length))).rejects.toMatchObject({ code: 'cut_stream' });
    }
    const wrong = whole.replace('"count":2', '"count":3');
    await expect(exported(wrong)).rejects.toMatchObject({ code: 'cut_stream' });
  });
});

describe('where bodies cannot be streamed', () => {
  it('an upload is sent in pieces, and its lines are counted over all', async () => {
    const sizes: number[] = [];
    const fake = (async (_: unknown, init: RequestInit) => {
      const lines = String(init.body).trim().split('\n').length;
      sizes.push(lines);
      const rejected = [{ line: 1, error: 'bad' }];
      return answer(200, { accepted: lines - 1, duplicates: 0, rejected, rejected_count: 1 });
    }) as typeof fetch;
    vi.stubGlobal('process', undefined);
    try {
      const client = new Memtrace({ ...options, fetch: fake });
      const events = Array.from({ length: 3_000 }, () => ({
        agent_id: 'a',
        content: 'x'.repeat(1_000),
      }));
      const summary = await client.memories.upload(events);
      expect(sizes.length).toBeGreaterThan(2);
      expect(summary.accepted).toBe(3_000 - sizes.length);
      expect(summary.rejected.map((r) => r.line).slice(0, 2)).toEqual([1, sizes[0] + 1]);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});

import { expect, test } from 'vitest';
import { fetchSend } from './fetch.js';
import type { WireCall } from './wire.js';

type Answer = Response | Error;

const STORE: WireCall = { method: 'POST', path: '/memories', body: { content: 'x' } };
const READ: WireCall = { method: 'GET', path: '/memories', query: { agent_id: 'a', limit: '5' } };

/** A server that gives these answers in turn, the last one for ever; waiting costs no time. */
function answering(...answers: Answer[]) {
  const sent: { url: string; init: RequestInit }[] = [];
  const waits: number[] = [];
  const send = fetchSend({
    url: 'http://there',
    key: 'mtk_1',
    version: '1',
    fetch: async (url, init) => {
      sent.push({ url: String(url), init: init ?? {} });
      const answer = answers[Math.min(sent.length, answers.length) - 1];
      if (answer instanceof Error) throw answer;
      return answer.clone();
    },
    sleep: async (ms) => {
      waits.push(ms);
    },
  });
  return { send, sent, waits };
}

const ok = () => new Response('{"id":"mem_1"}', { status: 201 });
const busy = (retryAfter?: string) => {
  const headers: Record<string, string> = retryAfter ? { 'retry-after': retryAfter } : {};
  return new Response('{"error":"busy","code":"overloaded"}', { status: 503, headers });
};
const refused = () => new TypeError('fetch failed');

function headerOf(init: RequestInit, name: string): string | undefined {
  return (init.headers as Record<string, string>)[name];
}

test('a request has the key, its query and its body', async () => {
  const { send, sent } = answering(ok());
  await send(READ);
  await send({ ...STORE, path: '/sessions/:id/context', id: 'a/b' });
  expect(sent[0].url).toBe('http://there/api/v1/memories?agent_id=a&limit=5');
  expect(headerOf(sent[0].init, 'x-api-key')).toBe('mtk_1');
  expect(sent[1].url).toBe('http://there/api/v1/sessions/a%2Fb/context');
  expect(sent[1].init.body).toBe('{"content":"x"}');
});

test('a restart between is waited for, and a write is one write', async () => {
  const { send, sent } = answering(refused(), busy(), ok());
  expect(await send(STORE)).toMatchObject({ status: 201 });
  const keys = sent.map(({ init }) => headerOf(init, 'idempotency-key'));
  expect(keys).toHaveLength(3);
  expect(new Set(keys).size).toBe(1);
  await send(STORE);
  expect(headerOf(sent[3].init, 'idempotency-key')).not.toBe(keys[0]);
});

test('Retry-After is kept to', async () => {
  const { send, waits } = answering(busy('3'), ok());
  await send(READ);
  expect(waits).toEqual([3_000]);
});

test('what does not come back is told, after some twenty seconds', async () => {
  const { send, waits } = answering(refused());
  await expect(send(READ)).rejects.toMatchObject({ problem: { code: 'unreachable' } });
  const waited = waits.reduce((sum, ms) => sum + ms, 0);
  expect(waited).toBeGreaterThan(15_000);
  expect(waited).toBeLessThanOrEqual(20_000);
});

test('an answer that stands is not asked for again', async () => {
  const { send, sent } = answering(new Response('{}', { status: 409 }));
  expect(await send(STORE)).toMatchObject({ status: 409 });
  expect(sent).toHaveLength(1);
});

test('a refusal for longer than a client waits is passed on', async () => {
  const { send, sent } = answering(busy('60'));
  expect(await send(READ)).toMatchObject({ status: 503 });
  expect(sent).toHaveLength(1);
});

test('a question on the side is asked once', async () => {
  const { send, sent } = answering(refused());
  await expect(send({ ...READ, once: true })).rejects.toMatchObject({
    problem: { code: 'unreachable' },
  });
  expect(sent).toHaveLength(1);
});

test('a redirection is not followed with the key', async () => {
  const headers = { location: 'https://elsewhere' };
  const { send, sent } = answering(new Response('', { status: 301, headers }));
  await expect(send(READ)).rejects.toMatchObject({ problem: { code: 'redirected' } });
  expect(sent[0].init.redirect).toBe('manual');
});

test('a caller that gives up ends the tries', async () => {
  const { send, sent } = answering(refused());
  await expect(send(READ, AbortSignal.abort())).rejects.toMatchObject({ name: 'AbortError' });
  expect(sent).toHaveLength(1);
});

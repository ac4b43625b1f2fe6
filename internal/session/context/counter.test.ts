import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { Fault } from '../../fault/fault.js';
import { createTokenCounter, type TokenCounter } from './counter.js';
import type { ContextJob } from './job.js';

const EMPTY: ContextJob = {
  sessionId: 'sess_abc',
  entries: [],
  matching: 0,
  maxTokens: 64,
  textUnits: 256,
};

let counter: TokenCounter | null = null;
afterEach(() => counter?.close());

/** A thread that obeys: `die` and `throw` by the session id, else it echoes it. */
function spawnPuppet(): Worker {
  const script = `
    const { parentPort } = require('node:worker_threads');
    parentPort.on('message', ({ id, job }) => {
      if (job.sessionId === 'die') process.exit(3);
      if (job.sessionId === 'throw') throw new Error('broken');
      if (job.sessionId === 'refuse') parentPort.postMessage({ id, error: 'no' });
      else parentPort.postMessage({ id, rendered: { context: job.sessionId } });
    });`;
  return new Worker(script, { eval: true });
}

test('the thread renders, again after close', async () => {
  counter = createTokenCounter();
  const heading = '## Session Context (sess_abc)';
  const both = await Promise.all([counter.fit(EMPTY), counter.fit({ ...EMPTY, sessionId: 'b' })]);
  expect(both.map((rendered) => rendered.context)).toEqual([heading, '## Session Context (b)']);
  await counter.close();
  expect((await counter.fit(EMPTY)).context).toBe(heading);
});

test.each(['die', 'throw', 'refuse'])(
  '%s: an internal fault, and the next is served',
  async (how) => {
    counter = createTokenCounter({ spawn: spawnPuppet });
    const failed = await counter.fit({ ...EMPTY, sessionId: how }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(Fault);
    expect(failed).toHaveProperty('code', 'internal');
    expect(await counter.fit({ ...EMPTY, sessionId: 'next' })).toEqual({ context: 'next' });
  },
);

test('close fails what is under way', async () => {
  counter = createTokenCounter({ spawn: spawnPuppet });
  const failed = counter.fit(EMPTY).catch((error: unknown) => error);
  await counter.close();
  expect(await failed).toHaveProperty('code', 'internal');
});

test('a thread without work ends, and a new one starts with the next use', async () => {
  const threads: Worker[] = [];
  const spawn = () => {
    const thread = spawnPuppet();
    threads.push(thread);
    return thread;
  };
  counter = createTokenCounter({ idleMs: 1, spawn });
  await counter.fit(EMPTY);
  await new Promise((resolve) => threads[0]?.once('exit', resolve));
  expect(await counter.fit({ ...EMPTY, sessionId: 'again' })).toEqual({ context: 'again' });
  expect(threads).toHaveLength(2);
});

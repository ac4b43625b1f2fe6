import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Flusher, type FlusherParts } from './flusher.js';

/** A store that takes a while, and writers who never let it come to rest. */
function underLoad(fail: () => boolean) {
  const waiting: { to: number }[] = [];
  let appended = 0;
  const flushed: number[] = [];
  const append = () => {
    appended += 1;
    waiting.push({ to: appended });
  };
  const generation = (to: number) => ({
    from: to - 1,
    to,
    rows: 1,
    answers: [],
    deletions: [],
    live: () => ({ events: [], lines: [], longestLine: 0 }),
  });
  const recent = {
    seal: () => undefined,
    get waiting() {
      return waiting.map(({ to }) => generation(to));
    },
    drop: (to: number) =>
      waiting.splice(
        0,
        waiting.findIndex((each) => each.to > to),
      ),
  };
  const nothing = async () => undefined;
  const parts = {
    clock: { monoMs: () => 0, nowUs: () => 0 },
    log: { stream: 's', release: nothing },
    dedup: { seal: async () => null },
    recent,
    answers: { flushed: () => undefined },
    answerStore: { put: nothing },
    deletionStore: { put: nothing },
    store: {
      write: async ({ to }: { to: number }) => {
        append();
        await sleep(1);
        if (fail()) throw new Error('the disk is full');
        flushed.push(to);
      },
    },
    maxRows: 1,
    maxBytes: 1,
    maxAgeMs: 1,
    onFlushed: () => undefined,
    onFailed: () => undefined,
  };
  return { flusher: new Flusher(parts as unknown as FlusherParts), flushed, append };
}

test('what was there is flushed although more comes all the time', async () => {
  let failing = false;
  const { flusher, flushed, append } = underLoad(() => failing);
  for (let i = 0; i < 3; i++) append();
  await flusher.flushSoFar();
  expect(flushed.slice(0, 3)).toEqual([1, 2, 3]);
  // The drain goes on behind it, and a second one waits for its own part only.
  await flusher.flushSoFar();
  expect(flushed.length).toBeLessThan(20);
  failing = true;
  await expect(flusher.flushSoFar()).rejects.toThrow('the disk is full');
  await flusher.stop();
});

import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Log, LogRecord } from './log.js';

/** How the suite gets at an implementation. */
export interface LogFixture {
  /** Opens the log; again after a close or a crash, it is the same log. */
  open(): Promise<Log>;
  /** Starts anew: the next open finds an empty log. */
  reset(): Promise<void>;
}

/** Everything that a reader gets after `position`. */
export async function collect(log: Log, position = 0): Promise<LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const record of log.read(position)) records.push(record);
  return records;
}

/** What every log owes (log.ts). */
export function logContract(name: string, fixture: LogFixture): void {
  describe(`log contract: ${name}`, () => {
    let log: Log;
    beforeEach(async () => {
      await fixture.reset();
      log = await fixture.open();
    });
    afterEach(() => log.close());

    const reopen = async (): Promise<void> => {
      await log.close();
      log = await fixture.open();
    };
    describe('append', () => appending(() => log));
    describe('read', () => reading(() => log));
    describe('restart and release', () => restarting(() => log, reopen));
    modelTest(() => log, reopen, fixture);
  });
}

function appending(log: () => Log): void {
  test('an empty log', async () => {
    expect(log().durable).toBe(0);
    expect(await collect(log())).toEqual([]);
    expect(log().health).toMatchObject({ state: 'ok', damagedRecords: 0 });
  });

  test('positions count from 1 in the order of the calls, and so do the acknowledgements', async () => {
    const acknowledged: number[] = [];
    const appends = Array.from({ length: 200 }, async (_, i) => {
      const position = await log().append(`record ${i}`);
      acknowledged.push(position);
      expect(log().durable).toBeGreaterThanOrEqual(position);
      return position;
    });
    const counted = Array.from({ length: 200 }, (_, i) => i + 1);
    expect(await Promise.all(appends)).toEqual(counted);
    expect(acknowledged).toEqual(counted);
    expect(log().durable).toBe(200);
  });

  test('close waits for what was appended; nothing is accepted after it', async () => {
    const pending = log().append('last');
    const closed = log().close();
    expect(await pending).toBe(1);
    await closed;
    await expect(log().append('late')).rejects.toMatchObject({ code: 'draining' });
    await expect(log().release(1)).rejects.toMatchObject({ code: 'draining' });
  });

  test('text comes back as it was, whatever it is and however long', async () => {
    const texts = [
      '',
      '\0',
      'Grüße 世界 🎈 \u2028',
      '\xffMTR',
      'x'.repeat(5_000_000),
      '漢'.repeat(700_000),
    ];
    await Promise.all(texts.map((text) => log().append(text)));
    expect((await collect(log())).map((record) => record.payload)).toEqual(texts);
  });
}

function reading(log: () => Log): void {
  test('a read starts after its position and sees what was durable when it was called', async () => {
    for (let i = 1; i <= 5; i++) await log().append(`${i}`);
    expect(await collect(log(), 3)).toEqual([
      { position: 4, payload: '4' },
      { position: 5, payload: '5' },
    ]);
    const reading = log().read(4)[Symbol.asyncIterator]();
    await log().append('6');
    expect(await reading.next()).toMatchObject({ value: { position: 5, payload: '5' } });
    expect(await collect(log(), 99)).toEqual([]);
  });

  test('reads and appends at the same time do not disturb each other', async () => {
    const appends = Array.from({ length: 300 }, (_, i) =>
      log().append(`${i}`.padStart(9_000, '-')),
    );
    await appends[99];
    const seen = await collect(log());
    expect(seen.length).toBeGreaterThanOrEqual(100);
    expect(seen.map((record) => record.position)).toEqual(seen.map((_, i) => i + 1));
    await Promise.all(appends);
    expect(await collect(log(), 299)).toHaveLength(1);
  });
}

function restarting(log: () => Log, reopen: () => Promise<void>): void {
  test('a restart keeps the stream, the records and the count', async () => {
    const { stream } = log();
    await log().append('a');
    await reopen();
    expect(log().stream).toBe(stream);
    expect(log().durable).toBe(1);
    expect(await log().append('b')).toBe(2);
    await reopen();
    expect((await collect(log())).map((record) => record.payload)).toEqual(['a', 'b']);
  });

  test('the count goes on after everything was released', async () => {
    for (let i = 0; i < 5; i++) await log().append('x');
    await log().release(5);
    await log().release(5);
    await log().release(2);
    await reopen();
    expect(log().durable).toBe(5);
    expect(await collect(log(), 5)).toEqual([]);
    expect(await log().append('y')).toBe(6);
    expect(await collect(log(), 5)).toEqual([{ position: 6, payload: 'y' }]);
  });

  test('a release keeps what is after it', async () => {
    for (let i = 1; i <= 5; i++) await log().append(`${i}`);
    await log().release(3);
    const kept = [
      { position: 4, payload: '4' },
      { position: 5, payload: '5' },
    ];
    expect(await collect(log(), 3)).toEqual(kept);
    await reopen();
    expect(await collect(log(), 3)).toEqual(kept);
  });

  test('positions that the store has are never given out again', async () => {
    await log().append('a');
    await log().release(7);
    expect(await log().append('b')).toBe(8);
    await reopen();
    expect(await collect(log(), 7)).toEqual([{ position: 8, payload: 'b' }]);
    expect(log().health.damagedRecords).toBe(0);
  });
}

type Step = { do: 'append'; sizes: number[] } | { do: 'release'; share: number } | { do: 'reopen' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('append' as const), sizes: sizes() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), share: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
);

function sizes(): fc.Arbitrary<number[]> {
  return fc.array(fc.nat(3_000), { minLength: 1, maxLength: 8 });
}

function modelTest(log: () => Log, reopen: () => Promise<void>, fixture: LogFixture): void {
  test('random appends, releases and restarts agree with a list', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        await log().close();
        await fixture.reset();
        await reopen();
        const model: LogRecord[] = [];
        let released = 0;
        for (const one of steps) {
          if (one.do === 'reopen') await reopen();
          else if (one.do === 'release') {
            released = Math.max(released, Math.floor((one.share * model.length) / 100));
            await log().release(released);
          } else await appendTo(log(), model, one.sizes);
          expect(await collect(log(), released)).toEqual(model.slice(released));
          expect(log().durable).toBe(model.length);
        }
      }),
      { numRuns: 8 },
    );
  }, 120_000);
}

async function appendTo(log: Log, model: LogRecord[], lengths: number[]): Promise<void> {
  const payloads = lengths.map((length, i) => `${model.length + i}`.padEnd(length, '·'));
  const positions = await Promise.all(payloads.map((payload) => log.append(payload)));
  for (const [i, position] of positions.entries()) {
    model.push({ position, payload: payloads[i] ?? '' });
  }
}

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/log-dir.js';
import { collect } from '../log.suite.js';
import type { Damage } from './damage.js';
import type { FaultPlan } from './faults.js';
import { openSegmentLog } from './open.js';

const CHILD = new URL('../../../test/support/log-child.mjs', import.meta.url).pathname;
const CYCLES = 6;

let dir = '';

beforeEach(() => {
  dir = temporaryDirectory();
});

afterEach(() => {
  fs.rmSync(dir, { recursive: true, force: true });
});

interface Acknowledged {
  length: number;
  start: string;
}

/** Runs a writer on `dir` and kills it; what it had acknowledged, by position. */
function crash(options: { afterLines?: number; faults?: FaultPlan }) {
  const args = [CHILD, dir, JSON.stringify(options.faults ?? null)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const acknowledged = new Map<number, Acknowledged>();
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [position, length, start] = line.split(' ');
      acknowledged.set(Number(position), { length: Number(length), start: start ?? '' });
    }
    if (acknowledged.size >= (options.afterLines ?? Number.POSITIVE_INFINITY))
      child.kill('SIGKILL');
  });
  return new Promise<Map<number, Acknowledged>>((resolve) => {
    child.on('close', (_code, signal) => {
      expect(signal).toBe('SIGKILL');
      resolve(acknowledged);
    });
  });
}

/** Opens the log as a restart does, and accounts for everything that was acknowledged. */
async function account(acknowledged: Map<number, Acknowledged>): Promise<void> {
  const damage: Damage[] = [];
  const log = await openSegmentLog({ dir, onDamage: (found) => damage.push(found) });
  const records = new Map((await collect(log)).map((one) => [one.position, one.payload]));
  const oldest = Math.min(...records.keys(), log.durable + 1);
  // The writer releases what is 500 positions old, and nothing else may be missing.
  expect(oldest).toBeLessThanOrEqual(Math.max(1, ...[...acknowledged.keys()].map((p) => p - 499)));
  for (const [position, { length, start }] of acknowledged) {
    if (position < oldest) continue;
    const payload = records.get(position) ?? `no record at ${position}`;
    expect(payload.slice(0, start.length)).toBe(start);
    expect(payload.length).toBe(length);
  }
  expect([...records.keys()]).toEqual([...records.keys()].map((_, i) => oldest + i));
  expect(damage.filter((found) => found.kind !== 'torn_tail')).toEqual([]);
  await log.close();
}

test('what was acknowledged is there after kill -9, on one growing directory', async () => {
  const all = new Map<number, Acknowledged>();
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    const acknowledged = await crash({ afterLines: 50 + cycle * 400 });
    expect(acknowledged.size).toBeGreaterThanOrEqual(50);
    for (const [position, what] of acknowledged) {
      expect(all.has(position)).toBe(false);
      all.set(position, what);
    }
    await account(all);
  }
}, 120_000);

test('a crash in the middle of a write leaves a torn tail, which was not acknowledged', async () => {
  for (const bytes of [1, 27, 28, 100, 1_000]) {
    const acknowledged = await crash({ faults: { tear: { write: 30, bytes } } });
    await account(acknowledged);
    fs.rmSync(dir, { recursive: true });
  }
}, 120_000);

import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { collect } from '../../../internal/log/log.suite.js';
import { openSegmentLog } from '../../../internal/log/segments/open.js';
import { temporaryDirectory } from '../log-dir.js';
import { type FaultRule, openFaultShim } from './fault-shim.js';

/** The log as an operator runs it, without injected faults, on a disk that fails below it. */
const CHILD = new URL('./append-lines.mjs', import.meta.url).pathname;

let dir = '';
let running: ChildProcess | null = null;

beforeEach(() => {
  dir = temporaryDirectory();
});

afterEach(() => {
  running?.kill('SIGKILL');
  fs.rmSync(dir, { recursive: true, force: true });
});

function start(env: Record<string, string>) {
  const child = spawn(process.execPath, [CHILD, path.join(dir, 'wal')], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  running = child;
  const answers = child.stdout.setEncoding('utf8')[Symbol.asyncIterator]();
  const append = async (text: string): Promise<string> => {
    child.stdin.write(`${text}\n`);
    return String((await answers.next()).value).trim();
  };
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
  };
  return { append, kill };
}

async function kept(): Promise<string[]> {
  const log = await openSegmentLog({ dir: path.join(dir, 'wal') });
  const records = await collect(log);
  await log.close();
  return records.map((record) => record.payload);
}

test.each<[FaultRule[], string]>([
  [['/wal/ fsync EIO'], 'failed log_failed'],
  [['/wal/ write EIO'], 'failed log_failed'],
  [['/wal/ grow ENOSPC', '/wal/ truncate EIO'], 'failed log_failed'],
  [['/wal/ grow ENOSPC'], 'full disk_full'],
  [['/wal/ create ENOSPC', '/wal/ grow EDQUOT'], 'full disk_full'],
  [['/wal/ short 1000'], 'ok 2'],
])(
  'a real file system with %j',
  async (rules, outcome) => {
    const shim = openFaultShim(dir);
    if (shim === null) return console.warn('skipped: no gcc to build the fault shim with');
    const { append, kill } = start(shim.env);
    expect(await append('whole')).toBe('ok 1');
    shim.set(...rules);
    expect(await append('x'.repeat(2_000_000))).toBe(outcome);
    shim.clear();
    const next = await untilOk(append, outcome);
    await kill();
    const payloads = await kept();
    const refused = !outcome.startsWith('ok');
    expect(payloads[0]).toBe('whole');
    if (next !== null) expect(payloads.at(-1)).toBe('next');
    if (outcome.startsWith('full')) expect(payloads).toEqual(['whole', 'next']);
    if (!refused) expect(payloads[1]).toBe('x'.repeat(2_000_000));
  },
  30_000,
);

async function untilOk(append: (text: string) => Promise<string>, outcome: string) {
  for (let i = 0; i < 100; i++) {
    const answer = await append('next');
    if (answer.startsWith('ok')) return answer;
    if (outcome.startsWith('failed')) {
      expect(answer).toBe('failed log_failed');
      return null;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the log never recovered');
}

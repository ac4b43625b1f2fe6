import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** Programs that a test starts; whatever still runs is killed when the test's process ends. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface Running {
  pid: number;
  output: () => string;
  exited: Promise<number | null>;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts a program; its output is kept for messages of failure. */
export function start(
  program: string,
  args: readonly string[],
  options: { env?: Record<string, string>; cwd?: string } = {},
): Running {
  const env = { PATH: process.env['PATH'] ?? '', HOME: '/tmp', ...options.env };
  const child = spawn(program, args, { env, cwd: options.cwd ?? '/', stdio: 'pipe' });
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output = (output + chunk).slice(-100_000);
    });
  }
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  return {
    pid: child.pid ?? -1,
    output: () => output,
    exited,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return exited;
    },
  };
}

/** Waits until `probe` gives a value; throws with what the programs said if it never does. */
export async function eventually<T>(
  probe: () => Promise<T | null> | T | null,
  what: string,
  options: { timeoutMs?: number; everyMs?: number; output?: () => string } = {},
): Promise<T> {
  const { timeoutMs = 20_000, everyMs = 100, output = () => '' } = options;
  const deadline = performance.now() + timeoutMs;
  while (performance.now() < deadline) {
    const value = await Promise.resolve()
      .then(probe)
      .catch(() => null);
    if (value !== null) return value;
    await sleep(everyMs);
  }
  throw new Error(`not within ${timeoutMs} ms: ${what}\n${output()}`);
}

/** Waits until a URL answers 200. */
export async function answers(url: string, program?: Running): Promise<void> {
  const output = program?.output;
  await eventually(async () => ((await fetch(url)).ok ? true : null), url, { output });
}

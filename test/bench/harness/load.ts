import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const LUA_DIR = fileURLToPath(new URL('../lua', import.meta.url));
const FALLBACK = fileURLToPath(new URL('fallback.ts', import.meta.url));
const hasWrk = spawnSync('wrk', ['-v']).error === undefined;

/** The load generator in use; figures of different ones do not compare. */
export const GENERATOR = hasWrk ? 'wrk' : 'autocannon (wrk is not installed)';

export interface LoadOptions {
  url: string;
  key: string;
  connections: number;
  seconds: number;
  /** Events a request: 1 is a single write, more is a batch. */
  batch?: number;
}

export interface LoadResult {
  eventsPerSecond: number;
  /** Of a request, in milliseconds. */
  p50: number;
  p99: number;
  /** Requests with an error status. */
  bad: number;
  /** Connections that failed. */
  broken: number;
}

let runs = 0;

/** Writes at full speed from another process; the contents of all runs differ. */
export async function writeLoad(options: LoadOptions): Promise<LoadResult> {
  const batch = options.batch ?? 1;
  const label = `${process.pid}-${Date.now() % 1_000_000}-${++runs}`;
  const target = `${options.url}/api/v1/memories`;
  const args = hasWrk
    ? ['-t1', `-c${options.connections}`, `-d${options.seconds}s`, '--timeout', '10s']
    : ['--import', 'tsx', FALLBACK, String(options.connections), String(options.seconds)];
  const script = `${LUA_DIR}/${batch === 1 ? 'single' : 'batch'}.lua`;
  const where = hasWrk ? ['-s', script, target, '--'] : [target];
  const { stdout } = await run(
    hasWrk ? 'wrk' : process.execPath,
    [...args, ...where, label, options.key, String(batch)],
    { env: { ...process.env, BENCH_LUA: LUA_DIR } },
  );
  return parse(stdout, batch);
}

interface RawResult {
  requests: number;
  seconds: number;
  p50: number;
  p99: number;
  bad: number;
  broken: number;
}

function parse(stdout: string, batch: number): LoadResult {
  const line = stdout.split('\n').find((l) => l.startsWith('RESULT '));
  if (line === undefined) throw new Error(`the load generator gave no result:\n${stdout}`);
  const raw = JSON.parse(line.slice('RESULT '.length)) as RawResult;
  const { p50, p99, bad, broken } = raw;
  const good = raw.requests - bad;
  return { eventsPerSecond: (good * batch) / raw.seconds, p50, p99, bad, broken };
}

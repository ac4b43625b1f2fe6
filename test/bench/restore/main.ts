import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cli } from '../../support/cli.js';
import { NO_S3, S3_PROGRAM, type S3Server, startS3 } from '../../support/s3-server.js';
import { startServer, type TestServer, tempDir } from '../../support/server.js';
import { BenchClient, checked } from '../harness/client.js';
import { benchEvent } from '../harness/events.js';
import { atMost, type Figure, table } from '../harness/figures.js';
import { fastLoad } from '../scale/fast-load.js';

/**
 * How long a backup takes, and how long it is from an empty machine to a server that is ready:
 * `npm run bench:restore -- --events 1M [--s3]`.
 */
const USAGE = 'npm run bench:restore -- --events 1M|10M [--s3] [--json]';
const DAYS = 30;
/** Goal: with 10 M events, from a local disk. */
const RTO_SECONDS = 60;

interface Report {
  id: string;
  files: number;
  bytes: number;
  rows: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '1M' },
      s3: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  if (values.s3 && S3_PROGRAM === null) throw new Error(NO_S3);
  const s3 = values.s3 ? await startS3() : null;
  try {
    const figures = await measure(eventsOf(values.events), s3);
    console.log(values.json ? JSON.stringify(figures, null, 2) : `\n${table(figures)}`);
  } finally {
    await s3?.stop();
  }
}

function eventsOf(text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)(k|M)$/.exec(text.trim()) ?? [];
  if (count === undefined) throw new Error(`--events ${text}: a number like 100k or 10M\n${USAGE}`);
  return Math.round(Number(count) * (unit === 'M' ? 1_000_000 : 1_000));
}

async function measure(events: number, s3: S3Server | null): Promise<Figure[]> {
  const dataDir = tempDir('memtrace-rto-');
  const place = s3 === null ? tempDir('memtrace-rto-backups-') : `s3://${s3.bucket}/rto`;
  const env = s3?.env ?? {};
  await fill(dataDir, events);
  const server = await startServer({ dataDir });
  const full = await timed(() => run(dataDir, ['backup', 'create', '--to', place], env));
  const args = ['backup', 'create', '--incremental', '--to', place];
  const incremental = await timed(() => run(dataDir, args, env));
  const verified = await timed(() => run(dataDir, ['backup', 'verify', '--from', place], env));
  const before = await newest(server);
  await server.kill9();
  rmSync(dataDir, { recursive: true });
  const start = performance.now();
  const restored = await timed(() =>
    run(dataDir, ['restore', '--from', place, '--to', dataDir], env),
  );
  const back = await startServer({ dataDir });
  const seconds = (performance.now() - start) / 1000;
  if ((await newest(back)) !== before) throw new Error('the newest events are not what they were');
  if (!existsSync(join(dataDir, 'memtrace.db'))) throw new Error('nothing was restored');
  await back.stop();
  rmSync(dataDir, { recursive: true });
  if (s3 === null) rmSync(place, { recursive: true });
  const { rows, bytes, files } = restored.report;
  const where = s3 === null ? 'a local disk' : 'S3 on this machine';
  const [millions, megabytes] = [(rows / 1e6).toFixed(2), (bytes / 1e6).toFixed(0)];
  const size = `${millions} M events, ${megabytes} MB, ${files} files`;
  const of = (name: string, s: number) => ({ name, figure: `${s.toFixed(2)} s` });
  return [
    { name: `what is in the backup (${where})`, figure: size },
    of('full backup of a server at work', full.seconds),
    of('incremental backup, nothing new', incremental.seconds),
    of('backup verify', verified.seconds),
    of('restore', restored.seconds),
    {
      ...of('from an empty directory to /ready', seconds),
      ...atMost(Math.round(seconds * 10) / 10, RTO_SECONDS, 's'),
    },
  ];
}

/** Some events through the API, so that the log has positions; the rest as finished files. */
async function fill(dataDir: string, events: number): Promise<void> {
  const server = await startServer({ dataDir });
  const client = new BenchClient(server);
  const memories = Array.from({ length: 1_000 }, (_, i) => benchEvent('api', i));
  checked(await client.post('/api/v1/memories', { memories }));
  client.close();
  await server.stop();
  await fastLoad({ dataDir, events, days: DAYS });
}

async function timed<T>(work: () => Promise<T>): Promise<{ seconds: number; report: T }> {
  const start = performance.now();
  const report = await work();
  return { seconds: (performance.now() - start) / 1000, report };
}

/** The report of a command that must end with 0. */
async function run(dataDir: string, args: string[], env: Record<string, string>): Promise<Report> {
  const { code, stdout, stderr } = await cli(dataDir, [...args, '--json'], env);
  if (code !== 0) throw new Error(`memtrace ${args.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Report;
}

async function newest(server: TestServer): Promise<string> {
  const response = await fetch(`${server.url}/api/v1/memories?limit=100`, {
    headers: { 'x-api-key': server.key },
  });
  const { memories } = (await response.json()) as { memories: unknown[] };
  if (memories.length !== 100) throw new Error('there are no events');
  return JSON.stringify(memories);
}

await main();

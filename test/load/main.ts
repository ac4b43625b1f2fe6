import { parseArgs } from 'node:util';
import { mb, quantile } from '../bench/harness/figures.js';
import { freshSeed } from '../support/random.js';
import { startServer, type TestServer, tempDir } from '../support/server.js';
import { allOf, describe, drive, mean, type Stretch } from './drive.js';
import { type Box, smallBox } from './limits.js';
import { Mix, type Share } from './mix.js';

const USAGE = `npm run load:box -- [--minutes 10] [--rate 300] [--reads 20] [--no-ramp]
                    [--preload 200000] [--seed n]
npm run load:memory -- [--minutes 60]`;

/** What agents write while they work, and what they read when they begin or look back. */
const WRITES: readonly Share[] = [
  { kind: 'create', weight: 85 },
  { kind: 'batch', weight: 9 },
  { kind: 'ndjson', weight: 0.6 },
  { kind: 'session', weight: 5.4 },
];
const READS: readonly Share[] = [
  { kind: 'context', weight: 26 },
  { kind: 'list session', weight: 26 },
  { kind: 'agent newest', weight: 17 },
  { kind: 'get', weight: 17 },
  { kind: 'search', weight: 10 },
  { kind: 'stats', weight: 4 },
];

/** A fleet of agents: `percent` of its requests are reads. */
function agentsMix(percent: number): Share[] {
  const part = (shares: readonly Share[], of: number) =>
    shares.map(({ kind, weight }) => ({ kind, weight: weight * of }));
  return [...part(WRITES, 100 - percent), ...part(READS, percent)];
}
/** Of 100 requests a second: 1,000 events written and 50 reads. */
const STEADY_MIX: readonly Share[] = [
  { kind: 'batch', weight: 50 },
  { kind: 'list session', weight: 15 },
  { kind: 'agent newest', weight: 10 },
  { kind: 'search', weight: 5 },
  { kind: 'context', weight: 15 },
  { kind: 'get', weight: 5 },
];
const STEADY_RATE = 100;

const GIB = 2 ** 30;
/** The settings of deploy/docker-compose.2c4g.yml. */
const BOX_ENV = {
  NODE_OPTIONS: '--max-old-space-size=384',
  UV_THREADPOOL_SIZE: '16',
  MEMTRACE_BUFFER_MAX_BYTES: '32MiB',
  MEMTRACE_WAL_MAX_PENDING: '32MiB',
  MEMTRACE_LIMITS_INFLIGHT_BYTES: '32MiB',
};
const STEADY_ENV = {
  MEMTRACE_BUFFER_MAX_AGE: '10s',
  MEMTRACE_COMPACTION_INTERVAL: '30s',
  MEMTRACE_BACKUP_INCREMENTAL_EVERY: '60s',
};
const RAMP_SECONDS = 15;
const RAMP_MAX_RATE = 20_000;
/** Latency has bent where the mean passes the goal, or requests fail. */
const BENT_MEAN_MS = 60;

interface Goal {
  name: string;
  figure: string;
  ok: boolean;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      profile: { type: 'string', default: 'box' },
      minutes: { type: 'string' },
      rate: { type: 'string', default: '300' },
      reads: { type: 'string', default: '20' },
      preload: { type: 'string', default: '200000' },
      ramp: { type: 'boolean', default: true },
      seed: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const seed = values.seed === undefined ? freshSeed() : Number(values.seed);
  console.log(`seed ${seed}`);
  const steady = values.profile === 'memory';
  const minutes = Number(values.minutes ?? (steady ? 60 : 10));
  const box = smallBox(GIB);
  const share = steady ? 50 : values.reads;
  console.log(`${box.described}; ${share} % of the requests are reads`);
  const dataDir = tempDir('memtrace-load-');
  const server = await startServer({
    dataDir,
    env: steady
      ? { ...BOX_ENV, ...STEADY_ENV, MEMTRACE_BACKUP_TARGET: tempDir('memtrace-load-backup-') }
      : BOX_ENV,
    onSpawn: (pid) => box.enter(pid),
  });
  const shares = steady ? STEADY_MIX : agentsMix(Number(values.reads));
  const mix = new Mix(server, shares, seed);
  try {
    await mix.preload(Number(values.preload));
    const rate = steady ? STEADY_RATE : Number(values.rate);
    const stretch = await drive(mix, server.pid, { rate, seconds: minutes * 60 });
    const goals = steady ? steadyGoals(stretch) : boxGoals(stretch);
    console.log(describe(stretch));
    const kept = await nothingLost(mix, stretch);
    for (const { name, figure, ok } of [...goals, kept]) {
      console.log(`${ok ? 'ok' : 'MISS'} ${name}: ${figure}`);
    }
    if (!steady && values.ramp) await ramp(mix, server, rate);
    // Speed depends on the machine; a lost event is an error on any.
    process.exitCode = kept.ok ? 0 : 1;
  } finally {
    mix.close();
    await end(server, box);
  }
}

async function end(server: TestServer, box: Box): Promise<void> {
  console.log(`the server ended with ${JSON.stringify(await server.stop())}`);
  box.leave();
}

function boxGoals(stretch: Stretch): Goal[] {
  const { latencies, health, memory } = stretch;
  const creates = latencies.get('create') ?? [];
  const recalls = ['list session', 'agent newest', 'search', 'context', 'get'] as const;
  const reads = recalls.flatMap((kind) => latencies.get(kind) ?? []);
  const rss = Math.max(...memory);
  return [
    below('mean latency', mean(allOf(stretch)), 60),
    below('create P95', quantile(creates, 0.95), 1_000),
    below('recall P95', quantile(reads, 0.95), 1_000),
    below('health P99', quantile(health, 0.99), 50),
    { name: 'resident memory', figure: `at most ${mb(rss)} MB of 1,024`, ok: rss < GIB },
    failuresOf(stretch),
  ];
}

/** Flat: after the first five minutes (or the first half of a short run) within 10 %. */
function steadyGoals(stretch: Stretch): Goal[] {
  const { memory } = stretch;
  const settled = memory.slice(Math.min(300, Math.floor(memory.length / 2)));
  // Minute by minute: a merge that comes and goes within one is no growth.
  const minutes: number[] = [];
  for (let at = 0; at < settled.length; at += 60) {
    minutes.push(quantile(settled.slice(at, at + 60), 0.5));
  }
  const [low, high] = [Math.min(...minutes), Math.max(...minutes)];
  const spread = high / low - 1;
  const medians = minutes.map(mb).join(' ');
  const figure = `medians of minutes ${medians} MB, spread ${(spread * 100).toFixed(1)} %`;
  const highest = Math.max(...memory);
  return [
    { name: 'memory flat within 10 %', figure, ok: spread <= 0.1 },
    { name: 'highest', figure: `${mb(highest)} MB`, ok: highest < GIB },
    failuresOf(stretch),
  ];
}

function below(name: string, value: number, limit: number): Goal {
  return { name, figure: `${value.toFixed(1)} ms, goal below ${limit} ms`, ok: value < limit };
}

function failuresOf({ failures, sent, seconds }: Stretch): Goal {
  const count = [...failures.values()].reduce((a, b) => a + b, 0);
  const figure = `${count} of ${sent} in ${seconds} s ${JSON.stringify([...failures])}`;
  return { name: 'requests that failed', figure, ok: count === 0 };
}

async function nothingLost(mix: Mix, stretch: Stretch): Promise<Goal> {
  const stored = await mix.stored();
  const lost = mix.acknowledged.filter((id) => !stored.has(id)).length;
  const doubled = [...stored.values()].filter((count) => count > 1).length;
  const acknowledged = mix.acknowledged.length + mix.streamed;
  const counts = `lost ${lost}, doubled ${doubled}`;
  const figure = `${acknowledged} acknowledged, ${stored.size} stored: ${counts}`;
  // What failed may or may not be stored; without failures the counts are equal.
  const equal = stretch.failures.size > 0 || stored.size === acknowledged;
  return { name: 'nothing lost', figure, ok: lost === 0 && doubled === 0 && equal };
}

/** Ever more requests until latency bends. */
async function ramp(mix: Mix, server: TestServer, from: number): Promise<void> {
  console.log('| requests/s | mean, ms | P95 | P99 | failed | MB |\n|---|---|---|---|---|---|');
  for (let rate = from; rate <= RAMP_MAX_RATE; rate = Math.round(rate * 1.5)) {
    const stretch = await drive(mix, server.pid, { rate, seconds: RAMP_SECONDS });
    const all = allOf(stretch);
    const failed = [...stretch.failures.values()].reduce((a, b) => a + b, 0);
    const shares = [mean(all), quantile(all, 0.95), quantile(all, 0.99)].map((v) => v.toFixed(1));
    const memory = mb(Math.max(...stretch.memory));
    console.log(`| ${rate} | ${shares.join(' | ')} | ${failed} | ${memory} |`);
    if (mean(all) > BENT_MEAN_MS || failed > stretch.sent / 100) return;
  }
}

await main();

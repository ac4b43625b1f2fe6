import type { Bench, Row, Target } from '../harness/bench.js';
import { atLeast, type Figure, median, ms, perSecond } from '../harness/figures.js';
import { type LoadResult, writeLoad } from '../harness/load.js';

interface Load {
  name: string;
  connections: number;
  batch: number;
  goal: number;
}

const LOADS: readonly Load[] = [
  { name: 'single64', connections: 64, batch: 1, goal: 0.8 },
  { name: 'single512', connections: 512, batch: 1, goal: 0.8 },
  { name: 'batch100', connections: 16, batch: 100, goal: 0.7 },
];

/** Writes against the bare ceiling, taking turns so that both meet the same machine. */
export const writeRows: readonly Row[] = LOADS.map((load) => ({
  name: load.name,
  run: async (bench) => [await compare(bench, load)],
}));

async function compare(bench: Bench, load: Load): Promise<Figure> {
  const server = await bench.writeServer();
  const ceiling = await bench.ceilingServer();
  const once = (target: Target) =>
    writeLoad({ ...load, url: target.url, key: target.key, seconds: bench.scale.seconds });
  await once(server);
  await once(ceiling);
  const ours: LoadResult[] = [];
  const theirs: LoadResult[] = [];
  for (let round = 0; round < bench.scale.rounds; round += 1) {
    ours.push(await once(server));
    theirs.push(await once(ceiling));
  }
  const rate = rateOf(ours);
  const what = load.batch === 1 ? 'single writes' : `batches of ${load.batch}`;
  return {
    name: `${what}, ${load.connections} connections`,
    figure: describe(ours),
    ceiling: describe(theirs),
    ...atLeast(rate / rateOf(theirs), load.goal),
  };
}

function rateOf(results: readonly LoadResult[]): number {
  return median(results.map((r) => r.eventsPerSecond));
}

function describe(results: readonly LoadResult[]): string {
  const p50 = median(results.map((r) => r.p50));
  const p99 = median(results.map((r) => r.p99));
  const bad = results.reduce((sum, r) => sum + r.bad + r.broken, 0);
  const errors = bad === 0 ? '' : `, ${bad} failed`;
  return `${perSecond(rateOf(results))}, p50 ${ms(p50)}, p99 ${ms(p99)} ms${errors}`;
}

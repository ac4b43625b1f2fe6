import { setTimeout as sleep } from 'node:timers/promises';
import { startServer } from '../../support/server.js';
import type { Bench, Row } from '../harness/bench.js';
import { atMost, type Figure, mb, median, ms } from '../harness/figures.js';
import { rssOf } from '../harness/process.js';

const START_GOAL_MS = 500;
const IDLE_GOAL_MB = 200;
const LOADED_GOAL_MB = 1_024;
const STARTS = 5;
const SETTLE_MS = 2_000;

/** Starts and memory. The loaded figures come last, when the other rows have used that server. */
export const startRows: readonly Row[] = [
  { name: 'coldstart', run: coldStart },
  { name: 'loaded', run: loaded },
];

async function coldStart(): Promise<Figure[]> {
  const times: number[] = [];
  const memory: number[] = [];
  for (let n = 0; n < STARTS; n += 1) {
    const server = await startServer();
    times.push(server.readyMs);
    if (n === 0) await sleep(SETTLE_MS);
    if (n === 0) memory.push(mb(rssOf(server.pid)));
    await server.stop();
  }
  const idle = median(memory);
  return [
    {
      name: 'cold start, spawn to /ready, empty data directory',
      figure: `median ${ms(median(times))}, slowest ${ms(Math.max(...times))} ms`,
      ...atMost(median(times), START_GOAL_MS, 'ms'),
    },
    { name: 'memory, idle after 2 s', figure: `${idle} MB`, ...atMost(idle, IDLE_GOAL_MB, 'MB') },
  ];
}

async function loaded(bench: Bench): Promise<Figure[]> {
  const before = await bench.loadedServer();
  const used = mb(rssOf(before.pid));
  const server = await bench.restartLoaded();
  return [
    {
      name: 'memory, after the reads',
      figure: `${used} MB`,
      ...atMost(used, LOADED_GOAL_MB, 'MB'),
    },
    {
      name: `start with ${bench.scale.stored / 1_000} k events`,
      figure: `${ms(server.readyMs)} ms`,
      ...atMost(server.readyMs, START_GOAL_MS, 'ms'),
    },
  ];
}

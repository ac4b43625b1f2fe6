import type { Bench, Row, Target } from '../harness/bench.js';
import { BenchClient, checked, paced } from '../harness/client.js';
import { benchEvent } from '../harness/events.js';
import { type Figure, latency, ms, quantile } from '../harness/figures.js';

const SEARCHERS = 8;
const WRITES_PER_SECOND = 500;
const GOAL = 2;

/** Durable single writes while eight clients search everything for what is not there. */
export const heavySearchRow: Row = {
  name: 'heavysearch',
  run: async (bench) => {
    const server = await bench.loadedServer();
    const idle = await writes(server, bench);
    let going = true;
    const searching = Array.from({ length: SEARCHERS }, () => search(server, () => going));
    const busy = await writes(server, bench);
    going = false;
    const searches = await Promise.all(searching);
    return [figure(idle, busy, searches)];
  },
};

interface Searches {
  done: number;
  refused: number;
}

function figure(idle: number[], busy: number[], searches: Searches[]): Figure {
  const ratio = quantile(busy, 0.99) / quantile(idle, 0.99);
  const done = searches.reduce((sum, s) => sum + s.done, 0);
  const refused = searches.reduce((sum, s) => sum + s.refused, 0);
  return {
    name: `writes (${WRITES_PER_SECOND}/s) beside ${SEARCHERS} clients of the worst search`,
    figure: `${latency(busy)}, max ${ms(Math.max(...busy))}; ${done} searches, ${refused} refused`,
    ceiling: `idle ${latency(idle)}`,
    ratio,
    goal: `p99 <= ${GOAL}x idle`,
    ok: ratio <= GOAL,
  };
}

async function writes(target: Target, bench: Bench): Promise<number[]> {
  const client = new BenchClient(target, 64);
  const label = `heavy${Date.now()}`;
  const write = (n: number) => client.post('/api/v1/memories', benchEvent(label, n));
  const waits = await paced(WRITES_PER_SECOND, bench.scale.seconds * 2, write);
  client.close();
  return waits;
}

/** 503 is an allowed answer: a server may bound what it searches at once. */
async function search(target: Target, going: () => boolean): Promise<Searches> {
  const client = new BenchClient(target);
  const count: Searches = { done: 0, refused: 0 };
  while (going()) {
    const absent = `absent-${Math.random()}-不存在`;
    const reply = await client.post('/api/v1/search', { content_contains: absent });
    if (reply.status === 503 || reply.status === 429) count.refused += 1;
    else if (checked(reply)) count.done += 1;
  }
  client.close();
  return count;
}

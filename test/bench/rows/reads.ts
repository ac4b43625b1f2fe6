import type { Bench, Row } from '../harness/bench.js';
import { BenchClient, checked, inTurn, paced, type Reply } from '../harness/client.js';
import { AGENTS, benchEvent, sessionOf } from '../harness/events.js';
import { atMost, type Figure, latency, median } from '../harness/figures.js';

const CONTEXT_GOAL_MS = 5;
const WRITES_PER_SECOND = 1_000;

type Read = (client: BenchClient) => Promise<Reply>;

/** Reads of each kind over the loaded store, one client, one after the other. */
export const readRows: readonly Row[] = [
  { name: 'reads', run: (bench) => readEach(bench, '') },
  { name: 'readsunderwrites', run: underWrites },
];

async function readEach(bench: Bench, suffix: string): Promise<Figure[]> {
  const server = await bench.loadedServer();
  const client = new BenchClient(server);
  const ids = await someIds(client, bench);
  const figures: Figure[] = [];
  for (const [name, read, goal] of kinds(bench, ids)) {
    await inTurn(5, () => read(client));
    const waits = await inTurn(bench.scale.reads, () => read(client));
    const judged = goal === undefined ? {} : atMost(median(waits), goal, 'ms p50');
    const at = `${bench.scale.stored / 1_000} k events`;
    figures.push({ name: `${name}, ${at}${suffix}`, figure: latency(waits), ...judged });
  }
  client.close();
  return figures;
}

/** The same while another client writes at the rate that one instance is sized for. */
async function underWrites(bench: Bench): Promise<Figure[]> {
  const server = await bench.loadedServer();
  const writer = new BenchClient(server, 64);
  let going = true;
  let second = 0;
  const label = `under${Date.now()}`;
  const writing = (async () => {
    while (going) {
      const base = WRITES_PER_SECOND * second++;
      const write = (n: number) => writer.post('/api/v1/memories', benchEvent(label, base + n));
      await paced(WRITES_PER_SECOND, 1, write);
    }
  })();
  const figures = await readEach(bench, ', 1,000 writes/s');
  going = false;
  await writing;
  writer.close();
  return figures;
}

function kinds(bench: Bench, ids: readonly string[]): [string, Read, number?][] {
  const any = (below: number) => Math.floor(Math.random() * below);
  const session = () => sessionOf('load', any(bench.scale.stored));
  const agent = () => `agent-${any(AGENTS)}`;
  return [
    [
      'session context',
      (c) => c.post(`/api/v1/sessions/${session()}/context`, { since: 'all' }),
      CONTEXT_GOAL_MS,
    ],
    ['list a session', (c) => c.get(`/api/v1/memories?session_id=${session()}`)],
    ["list an agent's newest 100", (c) => c.get(`/api/v1/memories?agent_id=${agent()}`)],
    ['list the newest 100', (c) => c.get('/api/v1/memories')],
    ['get by id', (c) => c.get(`/api/v1/memories/${ids[any(ids.length)]}`)],
    ["an agent's stats", (c) => c.get(`/api/v1/agents/${agent()}/stats`)],
  ];
}

async function someIds(client: BenchClient, bench: Bench): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < 20; n += 1) {
    const session = sessionOf('load', Math.floor(Math.random() * bench.scale.stored));
    const reply = checked(await client.get(`/api/v1/memories?session_id=${session}&limit=20`));
    const page = JSON.parse(reply.text) as { memories: { id: string }[] };
    if (page.memories.length === 0) throw new Error(`the session ${session} is empty`);
    for (const memory of page.memories) ids.push(memory.id);
  }
  return ids;
}

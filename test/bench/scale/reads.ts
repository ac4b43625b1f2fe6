import type { TestServer } from '../../support/server.js';
import { BenchClient, checked, type Reply } from '../harness/client.js';
import { type Figure, median, ms, quantile } from '../harness/figures.js';
import type { Loaded } from './fast-load.js';
import { agentOf, orgOf, sessionNumber } from './rows.js';

/** Reads of each kind, by one client and by sixteen, each one after the other. */
const CLIENTS = [1, 16] as const;
const DAY_MS = 86_400_000;

interface Kind {
  name: string;
  read(client: BenchClient): Promise<Reply>;
  /** Of one client, in milliseconds. */
  p50?: number;
  p95?: number;
  /** A read of it takes so long that fewer are enough. */
  slow?: boolean;
}

export async function readFigures(
  server: TestServer,
  loaded: Loaded,
  short: boolean,
): Promise<Figure[]> {
  const client = new BenchClient(server);
  const kinds = await kindsOf(client, loaded);
  client.close();
  const figures: Figure[] = [];
  for (const kind of kinds) {
    for (const clients of CLIENTS) {
      const reads = (short ? 100 : 400) / (kind.slow ? 8 : 1);
      figures.push(await measure(server, kind, { clients, reads }));
    }
  }
  return figures;
}

async function measure(
  server: TestServer,
  kind: Kind,
  { clients, reads }: { clients: number; reads: number },
): Promise<Figure> {
  const waits: number[] = [];
  const each = Math.ceil(reads / (clients === 1 ? 1 : clients / 4));
  const one = async () => {
    const client = new BenchClient(server);
    for (let n = 0; n < 3; n += 1) await kind.read(client);
    for (let n = 0; n < each; n += 1) waits.push(checked(await kind.read(client)).ms);
    client.close();
  };
  await Promise.all(Array.from({ length: clients }, one));
  const [p50, p95, p99] = [median(waits), quantile(waits, 0.95), quantile(waits, 0.99)];
  const name = `${kind.name}, ${clients} ${clients === 1 ? 'client' : 'clients'}`;
  const figure = `p50 ${ms(p50)}, p95 ${ms(p95)}, p99 ${ms(p99)} ms`;
  if (kind.p50 === undefined || clients > 1) return { name, figure };
  const goals = [`p50 <= ${kind.p50}`, ...(kind.p95 === undefined ? [] : [`p95 <= ${kind.p95}`])];
  const ok = p50 <= kind.p50 && p95 <= (kind.p95 ?? Number.POSITIVE_INFINITY);
  return { name, figure, goal: `${goals.join(', ')} ms`, ok };
}

async function kindsOf(client: BenchClient, loaded: Loaded): Promise<Kind[]> {
  const { label, events, agents, startUs, stepUs } = loaded;
  const any = (below: number) => Math.floor(Math.random() * below);
  const session = () => {
    let number = sessionNumber(any(events));
    while (orgOf(number) !== 0) number = sessionNumber(any(events));
    return number;
  };
  const agent = () => agentOf(session(), agents);
  const ids = await someIds(client, () => `s-${label}-${session()}`);
  const day = () => {
    const since = startUs / 1000 + any(28) * DAY_MS;
    const [from, to] = [since, since + DAY_MS].map((time) => new Date(time).toISOString());
    return { since: from, until: to };
  };
  /** In no other event: the worst case, as everything is looked at. */
  const rare = () => `${label}.${any(events)}.`;
  const dayQuery = () => new URLSearchParams(day()).toString();
  const walk = new Walk(agent);
  const lastDay = new Date(startUs / 1000 + (events * stepUs) / 1000 - DAY_MS).toISOString();
  return [
    {
      name: 'session context',
      read: (c) => c.post(`/api/v1/sessions/s-${label}-${session()}/context`, { since: 'all' }),
      p50: 5,
      p95: 10,
    },
    {
      name: 'list a session',
      read: (c) => c.get(`/api/v1/memories?session_id=s-${label}-${session()}`),
    },
    {
      name: "an agent's newest 100 of the last day",
      read: (c) => c.get(`/api/v1/memories?agent_id=${agent()}&since=${lastDay}`),
      p50: 20,
    },
    {
      name: "an agent's newest 100 of a day",
      read: (c) => c.get(`/api/v1/memories?agent_id=${agent()}&${dayQuery()}`),
    },
    {
      name: "an agent's newest 100 of all time",
      read: (c) => c.get(`/api/v1/memories?agent_id=${agent()}`),
      p50: 20,
    },
    { name: 'the newest 100', read: (c) => c.get('/api/v1/memories') },
    { name: 'get by id', read: (c) => c.get(`/api/v1/memories/${ids[any(ids.length)]}`), p50: 10 },
    { name: "an agent's pages, one after the other", read: (c) => walk.next(c) },
    {
      name: 'offset 5,000 of an agent',
      read: (c) => c.get(`/api/v1/memories?agent_id=${agent()}&offset=5000`),
    },
    {
      name: 'search one event by its text, of a day',
      read: (c) => c.post('/api/v1/search', { content_contains: rare(), ...day() }),
      p50: 150,
      slow: true,
    },
    {
      name: 'search one event by its text, of all time',
      read: (c) => c.post('/api/v1/search', { content_contains: rare() }),
      slow: true,
    },
    { name: "an agent's stats", read: (c) => c.get(`/api/v1/agents/${agent()}/stats`) },
  ];
}

/** Pages by cursor through all that an agent has, then the next agent; shared by all clients. */
class Walk {
  private readonly agent: () => string;
  private readonly cursors = new WeakMap<BenchClient, { agent: string; cursor?: string }>();

  constructor(agent: () => string) {
    this.agent = agent;
  }

  async next(client: BenchClient): Promise<Reply> {
    const at = this.cursors.get(client) ?? { agent: this.agent() };
    const cursor = at.cursor === undefined ? '' : `&cursor=${encodeURIComponent(at.cursor)}`;
    const reply = checked(await client.get(`/api/v1/memories?agent_id=${at.agent}${cursor}`));
    const { next_cursor: next } = JSON.parse(reply.text) as { next_cursor?: string };
    if (next === undefined) this.cursors.delete(client);
    else this.cursors.set(client, { agent: at.agent, cursor: next });
    return reply;
  }
}

async function someIds(client: BenchClient, session: () => string): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < 40; n += 1) {
    const reply = checked(await client.get(`/api/v1/memories?session_id=${session()}&limit=10`));
    const { memories } = JSON.parse(reply.text) as { memories: { id: string }[] };
    if (memories.length === 0) throw new Error('a session of the load is empty');
    ids.push(...memories.map(({ id }) => id));
  }
  return ids;
}

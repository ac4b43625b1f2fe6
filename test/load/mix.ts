import { BenchClient, type Reply } from '../bench/harness/client.js';
import { type Random, randomOf } from '../support/random.js';

/** A kind of request and how often it comes among the others. */
export interface Share {
  kind: Kind;
  weight: number;
}

export type Kind =
  | 'create'
  | 'batch'
  | 'ndjson'
  | 'list session'
  | 'agent newest'
  | 'search'
  | 'context'
  | 'get'
  | 'stats'
  | 'session';

export const BATCH = 20;
const STREAM = 200;
const AGENTS = 50;
const SESSIONS = 2_000;
const WORDS = (
  'page product price crawled parsed cache retry order customer error timeout 网页 价格 会议 ' +
  'summary found three of many results for the next step'
).split(' ');

/** Makes requests and keeps account of every id that was acknowledged. */
export class Mix {
  readonly acknowledged: string[] = [];
  /** Events of streams, whose answers name no ids. */
  streamed = 0;
  private readonly client: BenchClient;
  private readonly random: Random;
  private readonly shares: readonly Share[];
  private readonly total: number;
  private made = 0;

  constructor(server: { url: string; key: string }, shares: readonly Share[], seed: number) {
    this.client = new BenchClient(server, 256);
    this.random = randomOf(seed);
    this.shares = shares;
    this.total = shares.reduce((sum, { weight }) => sum + weight, 0);
  }

  next(): Kind {
    let at = this.random.next() * this.total;
    for (const { kind, weight } of this.shares) {
      at -= weight;
      if (at < 0) return kind;
    }
    return this.shares[0].kind;
  }

  /** Sends one; what it acknowledged is noted. */
  async send(kind: Kind): Promise<Reply> {
    const { client } = this;
    const session = `session_${this.random.int(1, SESSIONS)}`;
    const agent = `agent_${this.random.int(1, AGENTS)}`;
    switch (kind) {
      case 'create':
        return this.note(await client.post('/api/v1/memories', this.event()));
      case 'batch':
        return this.note(await client.post('/api/v1/memories', { memories: this.events(BATCH) }));
      case 'ndjson':
        return this.stream();
      case 'list session':
        return client.get(`/api/v1/sessions/${session}/memories?limit=50`);
      case 'agent newest':
        return client.get(`/api/v1/memories?agent_id=${agent}&limit=100`);
      case 'search':
        return client.post('/api/v1/search', { content_contains: '价格 cache', since: '24h' });
      case 'context':
        return client.post(`/api/v1/sessions/${session}/context`, { since: 'all' });
      case 'get':
        return client.get(`/api/v1/memories/${this.known()}`);
      case 'stats':
        return client.get(`/api/v1/agents/${agent}/stats`);
      case 'session':
        return client.post('/api/v1/sessions', { agent_id: agent });
    }
  }

  /** Writes so many events of today before the measurement. */
  async preload(count: number): Promise<void> {
    for (let n = 0; n < count; n += 1_000) {
      const reply = await this.client.post('/api/v1/memories', { memories: this.events(1_000) });
      if (reply.status !== 201) throw new Error(`preload: ${reply.status} ${reply.text}`);
      this.note(reply);
    }
  }

  health(): Promise<Reply> {
    return this.client.get('/health');
  }

  /** Ids of everything the server has, and how often; reads the export to its end. */
  async stored(): Promise<Map<string, number>> {
    const { text } = await this.client.get('/api/v1/export');
    const lines = text.trimEnd().split('\n');
    const end = JSON.parse(lines.pop() ?? '{}') as { end?: boolean; count?: number };
    if (end.end !== true) throw new Error('the export was cut');
    const counts = new Map<string, number>();
    for (const line of lines) {
      const id = /"id":"(mem_[0-9A-Z]+)"/.exec(line)?.[1] ?? line;
      counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    return counts;
  }

  close(): void {
    this.client.close();
  }

  private async stream(): Promise<Reply> {
    const reply = await this.client.lines('/api/v1/memories', this.events(STREAM));
    if (reply.status === 200) this.streamed += (JSON.parse(reply.text) as Streamed).accepted;
    return reply;
  }

  private note(reply: Reply): Reply {
    if (reply.status === 201) {
      for (const [, id] of reply.text.matchAll(/"id":"(mem_[0-9A-Z]+)"/g)) {
        this.acknowledged.push(id);
      }
    }
    return reply;
  }

  private known(): string {
    const { acknowledged, random } = this;
    return acknowledged[random.int(0, acknowledged.length - 1)] ?? 'mem_none';
  }

  private events(count: number): object[] {
    return Array.from({ length: count }, () => this.event());
  }

  private event(): object {
    const { random } = this;
    this.made += 1;
    const session = random.int(1, SESSIONS);
    const words = Array.from({ length: 18 }, () => random.pick(WORDS)).join(' ');
    return {
      agent_id: `agent_${1 + (session % AGENTS)}`,
      session_id: `session_${session}`,
      memory_type: random.pick(['episodic', 'episodic', 'episodic', 'decision']),
      event_type: random.pick(['page_crawled', 'tool_call', 'note', 'error']),
      content: `${this.made}: ${words}`,
      importance: random.int(0, 10) / 10,
      tags: random.some(['web', 'shop', 'night'], 0.3),
    };
  }
}

interface Streamed {
  accepted: number;
}

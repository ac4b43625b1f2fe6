import { erase, memoryPages } from './memories.js';
import { Pages } from './pages.js';
import type { Query, RequestOptions, Transport } from './transport.js';
import type {
  Agent,
  AgentInput,
  AgentList,
  AgentStats,
  Erased,
  ListOptions,
  Memory,
  MemoryList,
  PageOptions,
} from './types.js';

const AGENTS = '/api/v1/agents';

/** The registry of agents. Memories do not need it: any well-formed agent_id will do. */
export class Agents {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** A taken name throws a ConflictError (`name_taken`). */
  register(agent: AgentInput, options?: RequestOptions): Promise<Agent> {
    const call = { method: 'POST', path: AGENTS, body: agent, repeat: 'keyed' } as const;
    return this.transport.json(call, options);
  }

  /** The newest first. */
  list(page: PageOptions = {}, options: RequestOptions = {}): Pages<Agent, AgentList> {
    const fetchPage = (cursor: string | undefined) => {
      const query = (cursor === undefined ? page : { ...page, cursor }) as Query;
      const call = { method: 'GET', path: AGENTS, query, repeat: 'safe' } as const;
      return this.transport.json<AgentList>(call, options);
    };
    return new Pages(fetchPage, (list) => list.agents);
  }

  /** By id, then by name. */
  get(id: string, options?: RequestOptions): Promise<Agent> {
    return this.transport.json({ method: 'GET', path: pathOf(id), repeat: 'safe' }, options);
  }

  /** By id, then by name: the registration and, if asked for, its memories. */
  delete(id: string, what: { memories?: boolean } = {}, options?: RequestOptions): Promise<Erased> {
    return erase(this.transport, pathOf(id), { memories: what.memories }, options);
  }

  /** Of an agent_id, registered or not. */
  stats(id: string, options?: RequestOptions): Promise<AgentStats> {
    const path = `${pathOf(id)}/stats`;
    return this.transport.json({ method: 'GET', path, repeat: 'safe' }, options);
  }

  /** Of an agent_id; the last 24 hours unless `since` says otherwise. */
  memories(
    id: string,
    list: Omit<ListOptions, 'agent_id'> = {},
    options: RequestOptions = {},
  ): Pages<Memory, MemoryList> {
    return memoryPages(this.transport, `${pathOf(id)}/memories`, list, options);
  }
}

function pathOf(id: string): string {
  return `${AGENTS}/${encodeURIComponent(id)}`;
}

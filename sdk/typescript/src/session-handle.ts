import type { Memtrace } from './client.js';
import type { Pages } from './pages.js';
import type { RequestOptions } from './transport.js';
import type {
  ListOptions,
  Memory,
  MemoryExtras,
  MemoryList,
  MemoryType,
  Session,
  SessionContext,
  TimeValue,
} from './types.js';

/** What of a session goes into a prompt, and how much. */
export interface SessionContextOptions {
  /** A hard ceiling, in o200k_base tokens: 64 to 200,000. Default 8,000. */
  maxTokens?: number;
  /** How many of the newest memories are considered: 1 to 1,000. Default 100. */
  maxMemories?: number;
  includeTypes?: MemoryType[];
  /** Default: the last 24 hours. `all` for everything. */
  since?: TimeValue;
  until?: TimeValue;
}

type Extras = MemoryExtras & { agentId?: string };

/** One session of a client. It need not be registered; nothing is sent to make one of these. */
export class SessionHandle {
  readonly id: string;
  /** Whose memories `remember` and its like store. */
  readonly agentId: string | undefined;
  private readonly client: Memtrace;

  constructor(client: Memtrace, id: string, agentId?: string) {
    this.client = client;
    this.id = id;
    this.agentId = agentId;
  }

  /** The session as markdown that is safe to put into a prompt. */
  context(options: SessionContextOptions = {}, request?: RequestOptions): Promise<SessionContext> {
    const input = {
      max_tokens: options.maxTokens,
      max_memories: options.maxMemories,
      include_types: options.includeTypes,
      since: options.since,
      until: options.until,
    };
    return this.client.sessions.context(this.id, input, request);
  }

  async remember(content: string, extras: Extras = {}, request?: RequestOptions): Promise<Memory> {
    const { agentId, ...more } = extras;
    return this.client.remember(this.agent(agentId), content, this.own(more), request);
  }

  async decide(
    decision: string,
    reasoning: string,
    extras: Extras = {},
    request?: RequestOptions,
  ): Promise<Memory> {
    const { agentId, ...more } = extras;
    const own = { ...this.own(more), ...request };
    return this.client.decide(this.agent(agentId), decision, reasoning, own);
  }

  async logError(error: unknown, extras: Extras = {}, request?: RequestOptions): Promise<Memory> {
    const { agentId, ...more } = extras;
    return this.client.logError(this.agent(agentId), error, this.own(more), request);
  }

  memories(
    list: Omit<ListOptions, 'session_id'> = {},
    request: RequestOptions = {},
  ): Pages<Memory, MemoryList> {
    return this.client.sessions.memories(this.id, list, request);
  }

  get(request?: RequestOptions): Promise<Session> {
    return this.client.sessions.get(this.id, request);
  }

  close(request?: RequestOptions): Promise<Session> {
    return this.client.sessions.close(this.id, request);
  }

  private own(extras: MemoryExtras): MemoryExtras {
    return { ...extras, session_id: this.id };
  }

  private agent(agentId: string | undefined): string {
    const id = agentId ?? this.agentId;
    if (id !== undefined) return id;
    throw new TypeError('whose memory? Give session(id, { agentId }) or an agentId here');
  }
}

import { Agents } from './agents.js';
import { Batcher, type BatcherOptions } from './batcher.js';
import { errorMemory } from './error-memory.js';
import { MemtraceError } from './errors.js';
import { Keys, Upkeep } from './keys.js';
import { Memories } from './memories.js';
import type { Pages } from './pages.js';
import { SessionHandle } from './session-handle.js';
import { Sessions } from './sessions.js';
import { type ClientOptions, type RequestOptions, Transport } from './transport.js';
import type {
  Agent,
  AgentInput,
  AgentStats,
  ContextInput,
  Health,
  ListOptions,
  Memory,
  MemoryExtras,
  MemoryInput,
  MemoryList,
  Readiness,
  SearchInput,
  SearchResult,
  Session,
  SessionContext,
  SessionInput,
  SessionList,
  TimeValue,
} from './types.js';

/** A client of one memtrace server, with one API key. Safe to share; holds no connection open. */
export class Memtrace {
  readonly memories: Memories;
  readonly agents: Agents;
  readonly sessions: Sessions;
  readonly keys: Keys;
  readonly upkeep: Upkeep;
  private readonly transport: Transport;

  /** Or, as the original client has it: `new Memtrace(baseUrl, apiKey, { timeout })`. */
  constructor(options?: ClientOptions);
  constructor(baseUrl: string, apiKey: string, options?: ClientOptions);
  constructor(first: ClientOptions | string = {}, apiKey?: string, more?: ClientOptions) {
    const options = typeof first === 'string' ? { ...more, baseUrl: first, apiKey } : first;
    this.transport = new Transport(options);
    this.memories = new Memories(this.transport);
    this.agents = new Agents(this.transport);
    this.sessions = new Sessions(this.transport);
    this.keys = new Keys(this.transport);
    this.upkeep = new Upkeep(this.transport);
  }

  get baseUrl(): string {
    return this.transport.baseUrl;
  }

  /** Stores what happened. */
  remember(
    agentId: string,
    content: string,
    extras: MemoryExtras = {},
    options?: RequestOptions,
  ): Promise<Memory> {
    const defaults = { memory_type: 'episodic', event_type: 'general' } as const;
    return this.memories.add({ ...defaults, ...extras, agent_id: agentId, content }, options);
  }

  /** What an agent did lately, the newest first. */
  recall(
    agentId: string,
    what: TimeValue | Omit<ListOptions, 'agent_id'> = {},
    options?: RequestOptions,
  ): Pages<Memory, MemoryList> {
    const list = typeof what === 'string' || what instanceof Date ? { since: what } : what;
    const defaults = { since: '24h', order: 'desc', limit: 100 } as const;
    return this.memories.list({ ...defaults, ...list, agent_id: agentId }, options);
  }

  /** Stores a decision and why it was taken. */
  decide(
    agentId: string,
    decision: string,
    reasoning: string,
    extras: MemoryExtras & RequestOptions = {},
  ): Promise<Memory> {
    const { signal, timeout, retries, headers, idempotencyKey, ...more } = extras;
    const memory = {
      memory_type: 'decision',
      event_type: 'decision',
      ...more,
      agent_id: agentId,
      content: decision,
      metadata: { ...more.metadata, reasoning },
    } as const;
    return this.memories.add(memory, { signal, timeout, retries, headers, idempotencyKey });
  }

  /** Stores an error: its message as content, its name and stack as metadata. */
  logError(
    agentId: string,
    error: unknown,
    extras: MemoryExtras = {},
    options?: RequestOptions,
  ): Promise<Memory> {
    return this.memories.add(errorMemory(agentId, error, extras), options);
  }

  search(search: SearchInput, options?: RequestOptions): Pages<Memory, SearchResult> {
    return this.memories.search(search, options);
  }

  /** A session by its id; nothing is sent. */
  session(id: string, whose: { agentId?: string } = {}): SessionHandle {
    return new SessionHandle(this, id, whose.agentId);
  }

  /** Registers a session. */
  async startSession(
    agentId: string,
    metadata?: Record<string, unknown>,
    options?: RequestOptions,
  ): Promise<SessionHandle> {
    const session = await this.sessions.create({ agent_id: agentId, metadata }, options);
    return new SessionHandle(this, session.id, agentId);
  }

  /** Collects memories and sends them in batches. Close it before the process ends. */
  batcher(options: BatcherOptions = {}): Batcher {
    return new Batcher(this.transport, options);
  }

  /** Whether the process lives. */
  health(options?: RequestOptions): Promise<Health> {
    return this.transport.json({ method: 'GET', path: '/health', repeat: 'safe' }, options);
  }

  /** Whether it can serve; `not ready` is an answer here, not an error. */
  async ready(options: RequestOptions = {}): Promise<Readiness> {
    try {
      const call = { method: 'GET', path: '/ready', repeat: 'safe' } as const;
      return await this.transport.json<Readiness>(call, { retries: 0, ...options });
    } catch (error) {
      if (!(error instanceof MemtraceError) || error.body['status'] === undefined) throw error;
      return error.body as Readiness;
    }
  }

  // The names of the original client.

  addMemory(memory: MemoryInput): Promise<Memory> {
    return this.memories.add(memory);
  }

  async addMemories(memories: readonly MemoryInput[]): Promise<Memory[]> {
    return (await this.memories.addMany(memories)).memories;
  }

  async listMemories(list: ListOptions = {}): Promise<MemoryList> {
    const { limit, offset, ...rest } = list;
    // A limit or an offset of 0 or less was left out by the original client.
    return this.memories.list({ ...rest, limit: positive(limit), offset: positive(offset) });
  }

  async searchMemories(search: SearchInput): Promise<SearchResult> {
    return this.memories.search(search);
  }

  registerAgent(agent: AgentInput): Promise<Agent> {
    return this.agents.register(agent);
  }

  getAgent(id: string): Promise<Agent> {
    return this.agents.get(id);
  }

  getAgentStats(id: string): Promise<AgentStats> {
    return this.agents.stats(id);
  }

  createSession(session: SessionInput): Promise<Session> {
    return this.sessions.create(session);
  }

  getSession(id: string): Promise<Session> {
    return this.sessions.get(id);
  }

  async listSessions(agentId?: string): Promise<SessionList> {
    return this.sessions.list({ agent_id: agentId === '' ? undefined : agentId });
  }

  getSessionContext(id: string, input: ContextInput = {}): Promise<SessionContext> {
    return this.sessions.context(id, input);
  }

  closeSession(id: string): Promise<Session> {
    return this.sessions.close(id);
  }
}

function positive(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 ? value : undefined;
}

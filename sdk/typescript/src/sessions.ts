import { erase, memoryPages } from './memories.js';
import { Pages } from './pages.js';
import type { Query, RequestOptions, Transport } from './transport.js';
import type {
  ContextInput,
  Erased,
  ListOptions,
  Memory,
  MemoryList,
  Session,
  SessionContext,
  SessionInput,
  SessionList,
  SessionListOptions,
  SessionPatch,
} from './types.js';

const SESSIONS = '/api/v1/sessions';

/** Sessions: what belongs to one piece of work. */
export class Sessions {
  private readonly transport: Transport;

  constructor(transport: Transport) {
    this.transport = transport;
  }

  create(session: SessionInput, options?: RequestOptions): Promise<Session> {
    const call = { method: 'POST', path: SESSIONS, body: session, repeat: 'keyed' } as const;
    return this.transport.json(call, options);
  }

  /** The newest first. */
  list(list: SessionListOptions = {}, options: RequestOptions = {}): Pages<Session, SessionList> {
    const fetchPage = (cursor: string | undefined) => {
      const query = (cursor === undefined ? list : { ...list, cursor }) as Query;
      const call = { method: 'GET', path: SESSIONS, query, repeat: 'safe' } as const;
      return this.transport.json<SessionList>(call, options);
    };
    return new Pages(fetchPage, (page) => page.sessions);
  }

  get(id: string, options?: RequestOptions): Promise<Session> {
    return this.transport.json({ method: 'GET', path: pathOf(id), repeat: 'safe' }, options);
  }

  /** Metadata is merged key by key; null deletes a key. */
  update(id: string, patch: SessionPatch, options?: RequestOptions): Promise<Session> {
    const call = { method: 'PUT', path: pathOf(id), body: patch, repeat: 'safe' } as const;
    return this.transport.json(call, options);
  }

  close(id: string, options?: RequestOptions): Promise<Session> {
    return this.update(id, { status: 'closed' }, options);
  }

  /** The registration and, if asked for, its memories. */
  delete(id: string, what: { memories?: boolean } = {}, options?: RequestOptions): Promise<Erased> {
    return erase(this.transport, pathOf(id), { memories: what.memories }, options);
  }

  memories(
    id: string,
    list: Omit<ListOptions, 'session_id'> = {},
    options: RequestOptions = {},
  ): Pages<Memory, MemoryList> {
    return memoryPages(this.transport, `${pathOf(id)}/memories`, list, options);
  }

  /** The session as markdown that is safe to put into a prompt. */
  context(id: string, input: ContextInput = {}, options?: RequestOptions): Promise<SessionContext> {
    const path = `${pathOf(id)}/context`;
    return this.transport.json({ method: 'POST', path, body: input, repeat: 'safe' }, options);
  }
}

function pathOf(id: string): string {
  return `${SESSIONS}/${encodeURIComponent(id)}`;
}

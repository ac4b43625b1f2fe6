import type { components, operations } from './openapi.js';

type Schemas = components['schemas'];
type QueryOf<Name extends keyof operations> = NonNullable<operations[Name]['parameters']['query']>;

/** A moment: RFC 3339 text or a Date. */
export type Moment = string | Date;
/** A moment, or a span back from now (`24h`, `7d`), `now`, or a day (`2026-11-21`). */
export type TimeValue = string | Date;

/** The same members, with moments that may be given as a Date. */
type WithDates<T> = {
  [K in keyof T]: K extends 'time' | 'expires_at' | 'since' | 'until'
    ? T[K] | (undefined extends T[K] ? Date : never)
    : T[K];
};

export type MemoryType = Schemas['Memory']['memory_type'];
export type Memory = Schemas['Memory'];
export type MemoryInput = WithDates<Schemas['MemoryInput']>;
export type MemoryBatch = Schemas['MemoryBatch'];
export type MemoryStream = Schemas['MemoryStream'];
export type MemoryList = Schemas['MemoryList'];
export type SearchResult = Schemas['SearchResult'];
export type SearchInput = WithDates<Schemas['SearchInput']>;
export type Deletion = Schemas['Deletion'];
export type Erasure = Schemas['Erasure'];
export type Agent = Schemas['Agent'];
export type AgentInput = Schemas['AgentInput'];
export type AgentList = Schemas['AgentList'];
export type AgentStats = Schemas['AgentStats'];
export type Session = Schemas['Session'];
export type SessionInput = Schemas['SessionInput'];
export type SessionPatch = Schemas['SessionPatch'];
export type SessionList = Schemas['SessionList'];
export type SessionContext = Schemas['SessionContext'];
export type ContextInput = WithDates<Schemas['ContextInput']>;
export type Key = Schemas['Key'];
export type KeyInput = WithDates<Schemas['KeyInput']>;
export type KeyList = Schemas['KeyList'];
export type KeyCreated = Schemas['KeyCreated'];
export type KeySelf = Schemas['KeySelf'];
export type Retention = Schemas['Retention'];

/** Tags as a list, too. */
type WithTags<T> = Omit<T, 'tags'> & {
  /** A list, or comma-separated: all of them must be there, exactly. */
  tags?: string | readonly string[];
};

/** Which memories: all conditions must hold. */
export type MemoryFilter = WithTags<WithDates<QueryOf<'exportMemories'>>>;
/** Which memories, how many a page, and in which order. */
export type ListOptions = WithTags<WithDates<QueryOf<'listMemories'>>>;
export type PageOptions = QueryOf<'listAgents'>;
export type SessionListOptions = QueryOf<'listSessions'>;

/** What a deletion answers with; the erasure it began can be followed by its id. */
export interface Erased {
  erasure_id?: string;
}

/** The members of a memory that the convenience methods leave to the caller. */
export type MemoryExtras = Partial<Omit<MemoryInput, 'agent_id' | 'content'>>;

export type Health = Schemas['Health'];
/** `/ready` answers with it, whatever its status. */
export type Readiness = Schemas['Readiness'];

/** The names of the original client. */
export type AddMemoryRequest = MemoryInput;
export type SearchQuery = SearchInput;
export type RegisterAgentRequest = AgentInput;
export type CreateSessionRequest = SessionInput;
export type ContextOptions = ContextInput;

import type { ErrorName } from './errors.js';

/** Any JSON object of the document. */
export type Json = Record<string, unknown>;

export const TAGS = {
  Memories: 'What agents did, decided, learned and failed at: written once, read many times.',
  Search: 'Find memories, or take all of them out.',
  Agents: 'Registrations of agents; optional, as memories go by the literal agent_id.',
  Sessions: 'Registrations of sessions, and what a session holds as text for a prompt.',
  Keys: 'API keys of the organization.',
  Retention: 'How long memories are kept, and how far an erasure has come.',
  Operations: 'For operators and tools; without a key, and without anything of a tenant.',
} as const;

export type Tag = keyof typeof TAGS;

/** What the running configuration says about requests. */
export interface PublishedLimits {
  contentBytes: number;
  metadataBytes: number;
  batchItems: number;
  bodyBytes: number;
  /** 0: no limit. */
  requestsPerSecond: number;
  burst: number;
  dedupWindowHours: number;
}

/** The `{id}` of a path. */
export interface PathId {
  description: string;
  example: string;
}

/** One media type of a request body or of an answer. */
export interface Media {
  /** The name of a component schema, or a schema. */
  schema: string | Json;
  /** By name; the first one is also the one of the code sample. */
  examples: Readonly<Record<string, unknown>>;
}

export interface RequestBody {
  description: string;
  /** An empty body is fine. */
  optional?: boolean;
  content: Readonly<Record<string, Media>>;
}

export interface Success {
  description: string;
  /** Absent: no body. */
  content?: Readonly<Record<string, Media>>;
  /** Names of component headers beside x-request-id. */
  headers?: readonly string[];
}

/** What clients are told of a route: the route table demands one for each. */
export interface Operation {
  id: string;
  tag: Tag;
  summary: string;
  /** CommonMark. */
  description: string | ((limits: PublishedLimits) => string);
  pathId?: PathId;
  /** Names of QUERY_PARAMETERS, with what this route says otherwise about them. */
  query?: Readonly<Record<string, Json>>;
  idempotent?: boolean;
  body?: RequestBody;
  /** By HTTP status. */
  answers: Readonly<Record<number, Success>>;
  /** What may go wrong beyond what every route has in common. */
  errors?: readonly ErrorName[];
}

/** A route of the app with what clients are told of it. */
export interface DescribedRoute {
  method: string;
  /** As the router has it: `/api/v1/memories/:id`. */
  path: string;
  /** The permission that a key needs, `any` for any key, `public` for none. */
  policy: string;
  operation: Operation;
}

/** A body or an answer of JSON. */
export function ofJson(
  schema: string | Json,
  examples: Readonly<Record<string, unknown>>,
): Readonly<Record<string, Media>> {
  return { 'application/json': { schema, examples } };
}

/** Query parameters without deviations. */
export function queryOf(names: readonly string[]): Record<string, Json> {
  return Object.fromEntries(names.map((name) => [name, {}]));
}

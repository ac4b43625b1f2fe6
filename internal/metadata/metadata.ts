import type { EventFilter } from '../event/event.js';
import type { ChangeStore } from './changes.js';
import type { Epoch } from './epochs.js';

/**
 * The metadata store: organizations, keys, agents, sessions, and the catalog of what the store
 * holds. Asynchronous, so that an embedded SQLite and a shared PostgreSQL both fit. Every method
 * rejects with Fault `store_unavailable` when the database is busy or out of reach (never "not
 * found"), and what resolved is durable. Times are microseconds since 1970 UTC.
 *
 * The contract suite is metadata.suite.ts; every implementation runs it.
 */
export interface Metadata {
  readonly orgs: OrgStore;
  readonly keys: KeyStore;
  readonly agents: AgentStore;
  readonly sessions: SessionStore;
  readonly catalog: Catalog;
  readonly answers: AnswerStore;
  readonly deletions: DeletionStore;
  readonly changes: ChangeStore;
  /** Small facts of the installation, e.g. the cursor secret. `init` stores `value` if absent. */
  setting(name: string, init: string): Promise<string>;
  /** Resolves if the database answers; rejects otherwise. */
  ping(): Promise<void>;
  /**
   * Rewrites what is only in the journal of the database into the database and empties the journal,
   * so that erased rows are in neither. False if a reader of another process holds it up.
   */
  checkpoint(): Promise<boolean>;
  /**
   * Writes all of it, as it is at one moment, into a new file `path`: durable, and a database of
   * this kind. Calls are served meanwhile. Rejects with `store_unavailable`.
   */
  snapshot(path: string): Promise<void>;
  close(): Promise<void>;
}

export interface Org {
  id: string;
  name: string;
  createdUs: number;
  /** Event-time retention of this organization; null = the server's. */
  retentionDays: number | null;
}

export interface OrgStore {
  /** Rejects with `name_taken`. */
  create(org: Org): Promise<void>;
  /** By id, then by name; null if there is none or it is deleted. */
  find(idOrName: string): Promise<Org | null>;
  list(): Promise<Org[]>;
  /** Rejects with `not_found`. */
  setRetention(id: string, days: number | null): Promise<void>;
  /**
   * Revokes its keys and removes its agents, sessions and answers; false if unknown. From its first
   * step on nobody finds it; the rows go in small transactions, after a crash with the next open.
   */
  delete(id: string, nowUs: number): Promise<boolean>;
}

export type Permission = 'read' | 'write' | 'admin';

export interface Key {
  id: string;
  orgId: string;
  name: string;
  /** The first characters of the key, for people to tell keys apart. */
  prefix: string;
  permissions: Permission[];
  createdUs: number;
  expiresUs: number | null;
  revokedUs: number | null;
  lastUsedUs: number | null;
}

export interface KeyStore {
  /**
   * `digest` is the SHA-256 of the key in hex: the key itself is never stored. Here and for agents
   * and sessions: rejects with `not_found` if the organization is unknown or deleted.
   */
  create(key: Key, digest: string): Promise<void>;
  /** Whatever its state; the caller judges expiry and revocation. Null for a deleted org's key. */
  findByDigest(digest: string): Promise<{ key: Key; org: Org } | null>;
  /** Newest first, revoked ones included. */
  list(orgId: string): Promise<Key[]>;
  /**
   * `last_admin`: the only admin key neither revoked nor expired stays. Twice is `revoked` again.
   */
  revoke(orgId: string, id: string, nowUs: number): Promise<'revoked' | 'not_found' | 'last_admin'>;
  /** Notes uses, lazily, in one transaction; never moves a time back. */
  touch(uses: readonly { id: string; usedUs: number }[]): Promise<void>;
  /**
   * The operator's bootstrap key: makes org (if no org has its name) and key, or replaces the
   * earlier bootstrap key (revoked) if its digest differs. The same digest is a no-op.
   */
  bootstrap(org: Org, key: Key, digest: string): Promise<'created' | 'replaced' | 'unchanged'>;
}

export interface Agent {
  id: string;
  orgId: string;
  name: string;
  description: string;
  /** JSON text of an object, or ''. */
  configJson: string;
  createdUs: number;
}

/** Newest first: a page starts after this place. */
export interface PageAfter {
  createdUs: number;
  id: string;
}

export interface AgentStore {
  /** Rejects with `name_taken`. `answer` is kept in the same transaction. */
  create(agent: Agent, answer?: Answer): Promise<void>;
  /** By id, then by name. */
  find(orgId: string, idOrName: string): Promise<Agent | null>;
  list(orgId: string, limit: number, after?: PageAfter): Promise<Agent[]>;
  delete(orgId: string, id: string): Promise<boolean>;
}

export type SessionStatus = 'active' | 'closed';

export interface Session {
  id: string;
  orgId: string;
  agentId: string;
  status: SessionStatus;
  /** JSON text of an object, or ''. */
  metadataJson: string;
  createdUs: number;
  updatedUs: number;
  closedUs: number | null;
}

export interface SessionStore {
  create(session: Session, answer?: Answer): Promise<void>;
  find(orgId: string, id: string): Promise<Session | null>;
  list(
    orgId: string,
    filter: { agentId?: string; status?: SessionStatus },
    limit: number,
    after?: PageAfter,
  ): Promise<Session[]>;
  /**
   * Replaces the row if its updatedUs still is `expectedUpdatedUs` (compare-and-set: a concurrent
   * update makes it false and the caller reads again). Agent and creation stay. The stored
   * updatedUs is at least expectedUpdatedUs + 1, so that two updates of one millisecond differ.
   */
  replace(session: Session, expectedUpdatedUs: number): Promise<boolean>;
  delete(orgId: string, id: string): Promise<boolean>;
  count(orgId: string, agentId: string): Promise<{ total: number; active: number }>;
}

/** One immutable file of events of one UTC day, as the catalog names it. */
export interface Partition {
  /** `par_` + ULID. */
  id: string;
  /** The log stream and the range of its positions that the file covers (inclusive). */
  stream: string;
  fromPosition: number;
  toPosition: number;
  /** Relative object key: generated, never made of a user's strings. */
  key: string;
  /** Where the key is relative to: 'local' = data_dir; later an object store. */
  location: string;
  day: number;
  rows: number;
  bytes: number;
  /** SHA-256 of the file, hex. */
  checksum: string;
  minTimeUs: number;
  maxTimeUs: number;
  /** The earliest expires_at in it, or null. */
  minExpiresUs: number | null;
  /** 0 = flushed, more = compacted. */
  level: number;
  state: 'live' | 'quarantined';
}

/** What one partition holds of one (organization, agent, session); '' is a session like any. */
export interface Span {
  orgId: string;
  agentId: string;
  sessionId: string;
  firstUs: number;
  lastUs: number;
  rows: number;
  decisions: number;
  entities: number;
  /** memory_type = session; episodic = rows − the other three. */
  sessions: number;
  /** event_type = error. */
  errors: number;
  minExpiresUs: number | null;
}

/** A damaged file: reads leave it out and say so. */
export interface QuarantinedPartition extends Partition {
  reason: string;
}

/** Sums over the spans of the asked scope in one partition. */
export type SpanSum = Omit<Span, 'orgId' | 'agentId' | 'sessionId'>;

export interface LocatedPartition extends Partition {
  sum: SpanSum;
  /** If the scope names a session: the one agent that has all its rows in the partition. */
  agentId?: string;
}

export interface Located {
  /** By stream: the position up to which the catalog covers the log, in the same snapshot. */
  through: Record<string, number>;
  /** The order of streams, oldest first; see epochs.ts. */
  epochs: readonly Epoch[];
  /** Live partitions that hold rows of the scope, newest maxTimeUs first. */
  partitions: LocatedPartition[];
  /** Quarantined partitions that would have been in `partitions` (C6: the answer must say so). */
  quarantined: LocatedPartition[];
}

export interface Scope {
  orgId: string;
  agentIds?: readonly string[];
  sessionId?: string;
  /** Partitions wholly outside sinceUs <= time < untilUs are left out. */
  sinceUs?: number;
  untilUs?: number;
}

export interface FlushCommit {
  stream: string;
  /** Compare-and-set: the position that the catalog must hold before. */
  from: number;
  to: number;
  partitions: Partition[];
  dedupRun: DedupRunRow | null;
}

/** One file of deduplication keys; see dedup/dedup.ts. */
export interface DedupRunRow {
  path: string;
  keys: number;
  bytes: number;
  checksum: string;
  newestUs: number;
  through: number;
}

export interface Catalog {
  /** The position up to which the catalog covers the stream; 0 for an unknown stream. */
  position(stream: string): Promise<number>;
  /**
   * The log is at this stream from now on: an epoch begins unless the last one is of it. All of
   * them, oldest first; they stay the same until the next call.
   */
  beginStream(stream: string): Promise<Epoch[]>;
  /** One snapshot: positions and partitions belong together. */
  locate(scope: Scope): Promise<Located>;
  /**
   * Stores the spans of a partition that is not visible yet; visible with its commit. In small
   * transactions, so that reads go on in between. Several calls for one partition add up; if one
   * rejects, start anew with another partition id. A span lies within one UTC day. Only the holder
   * of the data directory stages and sweeps: what another opening staged counts as left by a crash.
   */
  stage(partitionId: string, spans: readonly Span[]): Promise<void>;
  /** ONE transaction. Rejects with `internal` if the position is not `from`: nothing changed. */
  commitFlush(flush: FlushCommit): Promise<void>;
  /**
   * ONE transaction: compaction and erasure swap files; false if one of `removed` is not live. The
   * keys of the removed ones are garbage from then on; `gone` tells whose rows are in no file now.
   */
  replace(
    removed: readonly string[],
    added: readonly Partition[],
    gone?: readonly RowsGone[],
  ): Promise<boolean>;
  /** Keys of files that were replaced and may still be there; forgotten once they are deleted. */
  garbage(): Promise<string[]>;
  forgetGarbage(keys: readonly string[]): Promise<void>;
  /** By organization: the newest ingestion time of a row that a `replace` took away for good. */
  rowsGone(): Promise<RowsGone[]>;
  /** The organizations that have rows in a partition. */
  orgsOf(partitionId: string): Promise<string[]>;
  /** All partitions of any state, by day then id. */
  partitions(): Promise<Partition[]>;
  quarantine(partitionId: string, reason: string): Promise<void>;
  /** Those in quarantine, and why; by day then id. */
  quarantined(): Promise<QuarantinedPartition[]>;
  /**
   * ONE transaction: gives up partitions in quarantine, which are garbage from then on; false if
   * one of them is not in quarantine. `gone` as in `replace`.
   */
  discard(removed: readonly string[], gone: readonly RowsGone[]): Promise<boolean>;
  /** When the scrubber last read which partition; those that it never did are absent. */
  checks(): Promise<FileCheck[]>;
  noteCheck(check: FileCheck): Promise<void>;
  /** Oldest first. */
  dedupRuns(): Promise<DedupRunRow[]>;
  /** ONE transaction: merged or expired runs leave, merged ones come. */
  replaceDedupRuns(removed: readonly string[], added: readonly DedupRunRow[]): Promise<void>;
  /**
   * Removes spans whose partition is not in the catalog (replaced, given up, left by a crash) in
   * small transactions; how many.
   */
  sweepSpans(): Promise<number>;
}

/** A partition's bytes were compared with its checksum. */
export interface FileCheck {
  id: string;
  checkedUs: number;
}

/** Rows of an organization were erased or expired, and are in no file any more. */
export interface RowsGone {
  orgId: string;
  /** No such row was ingested later. */
  newestUs: number;
}

/** What is kept of a first answer for its Idempotency-Key: ids and counts, never contents. */
export interface Answer {
  orgId: string;
  /** `memories`, `agents` or `sessions`. */
  route: string;
  key: string;
  /** SHA-256 of the body, hex. */
  bodyHash: string;
  createdUs: number;
  /** JSON text of ids and counts. */
  answer: string;
}

export interface AnswerStore {
  /** Null if unknown or created before `notBeforeUs`. A younger answer replaces an older one. */
  find(orgId: string, route: string, key: string, notBeforeUs: number): Promise<Answer | null>;
  /** Idempotent; in small transactions. */
  put(answers: readonly Answer[]): Promise<void>;
  /** Removes those created before; returns how many. */
  sweep(beforeUs: number): Promise<number>;
}

/**
 * A deletion of events: covers what the log accepted up to its position, and what streams before
 * its own left, in its organization; see epochs.ts.
 */
export interface Deletion {
  /** `era_` + ULID. */
  id: string;
  orgId: string;
  filter: EventFilter;
  stream: string;
  position: number;
  requestedUs: number;
  deadlineUs: number;
  state: 'accepted' | 'erasing' | 'done';
  doneUs: number | null;
}

export interface DeletionStore {
  /** Idempotent by id; in small transactions. */
  put(deletions: readonly Deletion[]): Promise<void>;
  find(orgId: string, id: string): Promise<Deletion | null>;
  /** Those whose bytes may still be in a file: every read must apply them. */
  active(): Promise<Deletion[]>;
  /** All that there ever were. */
  all(): Promise<Deletion[]>;
  /** An organization's, in any state, that were requested at a time or later. Walks over all. */
  ofOrg(orgId: string, sinceUs: number): Promise<Deletion[]>;
  setState(id: string, state: Deletion['state'], doneUs: number | null): Promise<void>;
}

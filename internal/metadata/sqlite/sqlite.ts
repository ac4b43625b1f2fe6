import { SHARE_ENV } from 'node:worker_threads';
import { spawnWorker } from '../../base/worker.js';
import { wrap } from '../../fault/fault.js';
import type { Change, ChangeStore, FailedChange, Gone } from '../changes.js';
import type {
  Answer,
  AnswerStore,
  Catalog,
  Deletion,
  DeletionStore,
  KeyStore,
  Metadata,
  OrgStore,
  Span,
} from '../metadata.js';
import type { SlowStatement } from './database.js';
import { claimFile } from './file.js';
import type { WorkerSettings } from './metadata.worker.js';
import { Rpc } from './rpc.js';
import { copySnapshot } from './snapshot.js';

export interface SqliteOptions {
  /** The database file; its directory exists. Created with mode 0600 if it is not there. */
  path: string;
  /** Only reads: the file must be there and current, and every change is rejected. */
  readonly?: boolean;
  /** Statements that took at least `slowMs` (default 100); called on the main thread. */
  onSlow?: (statement: SlowStatement) => void;
  slowMs?: number;
  /** How long a call waits for a lock held by another process; default 5,000. */
  busyTimeoutMs?: number;
  /** Spans staged and not committed for so long are swept; default one hour. */
  stagingIdleMs?: number;
}

/** Rows of one transaction of a long job: others are served between two. */
const CHUNK_ROWS = 500;

/**
 * Opens the embedded metadata store: SQLite in a worker thread. Rejects with an Error that says
 * what to do if the file is not ours, newer than this program, or cannot be opened.
 */
export async function openSqliteMetadata(options: SqliteOptions): Promise<Metadata> {
  const release = claim(options);
  try {
    const rpc = await startWorker(options);
    const metadata = new SqliteMetadata(rpc, release, options.path);
    if (!options.readonly) metadata.resumePurges();
    return metadata;
  } catch (error) {
    release();
    throw error;
  }
}

function claim({ path }: SqliteOptions): () => void {
  try {
    return claimFile(path);
  } catch (error) {
    throw wrap(`cannot open the metadata database ${path}`, error);
  }
}

async function startWorker(options: SqliteOptions): Promise<Rpc> {
  const settings: WorkerSettings = {
    path: options.path,
    readonly: options.readonly === true,
    slowMs: options.onSlow ? (options.slowMs ?? 100) : null,
    patienceMs: options.busyTimeoutMs ?? 5_000,
    stagingIdleMs: options.stagingIdleMs ?? 3_600_000,
  };
  const worker = spawnWorker(import.meta.url, './metadata.worker', {
    name: 'metadata',
    workerData: settings,
    execArgv: [],
    env: SHARE_ENV,
  });
  const rpc = new Rpc(worker, options.onSlow ?? (() => undefined));
  await rpc.opened;
  return rpc;
}

class SqliteMetadata implements Metadata {
  readonly orgs: OrgStore;
  readonly keys: KeyStore;
  readonly agents: Metadata['agents'];
  readonly sessions: Metadata['sessions'];
  readonly catalog: Catalog;
  readonly answers: AnswerStore;
  readonly deletions: DeletionStore;
  readonly changes: ChangeStore;
  private readonly rpc: Rpc;
  private closing: Promise<void> | null = null;
  private purges: Promise<unknown> = Promise.resolve();

  private readonly release: () => void;
  private readonly path: string;

  /** @param release called once the file is closed */
  constructor(rpc: Rpc, release: () => void, path: string) {
    this.rpc = rpc;
    this.release = release;
    this.path = path;
    this.orgs = orgStore(rpc);
    this.keys = keyStore(rpc);
    this.agents = {
      create: (agent, answer) => rpc.call('agents', 'create', agent, answer),
      find: (orgId, idOrName) => rpc.call('agents', 'find', orgId, idOrName),
      list: (orgId, limit, after) => rpc.call('agents', 'list', orgId, limit, after),
      delete: (orgId, id) => rpc.call('agents', 'delete', orgId, id),
    };
    this.sessions = {
      create: (session, answer) => rpc.call('sessions', 'create', session, answer),
      find: (orgId, id) => rpc.call('sessions', 'find', orgId, id),
      list: (orgId, filter, limit, after) =>
        rpc.call('sessions', 'list', orgId, filter, limit, after),
      replace: (session, expected) => rpc.call('sessions', 'replace', session, expected),
      delete: (orgId, id) => rpc.call('sessions', 'delete', orgId, id),
      count: (orgId, agentId) => rpc.call('sessions', 'count', orgId, agentId),
    };
    this.catalog = catalog(rpc);
    this.answers = answerStore(rpc);
    this.deletions = deletionStore(rpc);
    this.changes = changeStore(rpc);
  }

  async setting(name: string, init: string): Promise<string> {
    const known = await this.rpc.call('settings', 'find', name);
    return known ?? this.rpc.call('settings', 'init', name, init);
  }

  ping(): Promise<void> {
    return this.rpc.call('settings', 'ping');
  }

  checkpoint(): Promise<boolean> {
    return this.rpc.call('settings', 'checkpoint');
  }

  snapshot(path: string): Promise<void> {
    return copySnapshot(this.path, path);
  }

  async close(): Promise<void> {
    this.closing ??= this.rpc.close().finally(this.release);
    await this.closing;
    await this.purges;
  }

  /** In the background; what a close or an error interrupts is resumed by the next start. */
  resumePurges(): void {
    const resume = async () => {
      for (const id of await this.rpc.call('orgs', 'unpurged')) await purge(this.rpc, id);
    };
    this.purges = resume().catch(() => undefined);
  }
}

async function purge(rpc: Rpc, orgId: string): Promise<void> {
  while (await rpc.call('orgs', 'purge', orgId));
}

function orgStore(rpc: Rpc): OrgStore {
  return {
    create: (org) => rpc.call('orgs', 'create', org),
    find: (idOrName) => rpc.call('orgs', 'find', idOrName),
    list: () => rpc.call('orgs', 'list'),
    setRetention: (id, days) => rpc.call('orgs', 'setRetention', id, days),
    delete: async (id, nowUs) => {
      if (!(await rpc.call('orgs', 'bury', id, nowUs))) return false;
      await purge(rpc, id);
      return true;
    },
  };
}

function keyStore(rpc: Rpc): KeyStore {
  return {
    create: (key, digest) => rpc.call('keys', 'create', key, digest),
    findByDigest: (digest) => rpc.call('keys', 'findByDigest', digest),
    list: (orgId) => rpc.call('keys', 'list', orgId),
    revoke: (orgId, id, nowUs) => rpc.call('keys', 'revoke', orgId, id, nowUs),
    touch: (uses) => rpc.call('keys', 'touch', uses),
    bootstrap: (org, key, digest) => rpc.call('keys', 'bootstrap', org, key, digest),
  };
}

function catalog(rpc: Rpc): Catalog {
  return {
    checks: () => rpc.call('partitions', 'checks'),
    noteCheck: (check) => rpc.call('partitions', 'noteCheck', check),
    position: (stream) => rpc.call('partitions', 'position', stream),
    beginStream: (stream) => rpc.call('partitions', 'beginStream', stream),
    locate: (scope) => rpc.call('locate', 'locate', scope),
    stage: (partitionId, spans) =>
      inChunks(spans, (part: Span[]) => rpc.call('spans', 'stage', partitionId, part)),
    commitFlush: (flush) => rpc.call('partitions', 'commitFlush', flush),
    replace: (removed, added, gone = []) => rpc.call('partitions', 'replace', removed, added, gone),
    garbage: () => rpc.call('partitions', 'garbage'),
    forgetGarbage: (keys) => rpc.call('partitions', 'forgetGarbage', keys),
    rowsGone: () => rpc.call('partitions', 'rowsGone'),
    orgsOf: (partitionId) => rpc.call('partitions', 'orgsOf', partitionId),
    partitions: () => rpc.call('partitions', 'partitions'),
    quarantine: (id, reason) => rpc.call('partitions', 'quarantine', id, reason),
    quarantined: () => rpc.call('partitions', 'quarantined'),
    discard: (removed, gone) => rpc.call('partitions', 'discard', removed, gone),
    dedupRuns: () => rpc.call('partitions', 'dedupRuns'),
    replaceDedupRuns: (removed, added) =>
      rpc.call('partitions', 'replaceDedupRuns', removed, added),
    sweepSpans: () => sweepSpans(rpc),
  };
}

async function sweepSpans(rpc: Rpc): Promise<number> {
  const dead = await rpc.call('sweep', 'begin');
  if (dead.length === 0) return 0;
  let deleted = 0;
  for (let at = await rpc.call('sweep', 'step', dead, { table: 0, after: null }); ; ) {
    deleted += at.deleted;
    if (!at.next) break;
    at = await rpc.call('sweep', 'step', dead, at.next);
  }
  await rpc.call('sweep', 'finish', dead);
  let agent: number | null = 0;
  while (agent !== null) agent = await rpc.call('sweep', 'forgetAgents', agent);
  return deleted;
}

function answerStore(rpc: Rpc): AnswerStore {
  return {
    find: (orgId, route, key, notBeforeUs) =>
      rpc.call('answers', 'find', orgId, route, key, notBeforeUs),
    put: (answers) => inChunks(answers, (part: Answer[]) => rpc.call('answers', 'put', part)),
    sweep: async (beforeUs) => {
      let total = 0;
      for (;;) {
        const gone = await rpc.call('answers', 'sweep', beforeUs);
        if (gone === 0) return total;
        total += gone;
      }
    },
  };
}

function deletionStore(rpc: Rpc): DeletionStore {
  return {
    put: (deletions) =>
      inChunks(deletions, (part: Deletion[]) => rpc.call('deletions', 'put', part)),
    find: (orgId, id) => rpc.call('deletions', 'find', orgId, id),
    active: () => rpc.call('deletions', 'active'),
    all: () => rpc.call('deletions', 'all'),
    ofOrg: (orgId, sinceUs) => rpc.call('deletions', 'ofOrg', orgId, sinceUs),
    setState: (id, state, doneUs) => rpc.call('deletions', 'setState', id, state, doneUs),
  };
}

function changeStore(rpc: Rpc): ChangeStore {
  return {
    track: (active) => rpc.call('changes', 'track', active),
    trim: () => rpc.call('changes', 'trim'),
    take: (limit) => rpc.call('changes', 'take', limit),
    sent: (through) => rpc.call('changes', 'sent', through),
    sequence: () => rpc.call('changes', 'sequence'),
    apply: async (changes) => {
      const failures: FailedChange[] = [];
      await inChunks(changes, async (part: Change[]) => {
        failures.push(...(await rpc.call('changes', 'apply', part)));
      });
      return failures;
    },
    gone: () => rpc.call('changes', 'gone'),
    remove: (gone) => inChunks(gone, (part: Gone[]) => rpc.call('changes', 'remove', part)),
  };
}

async function inChunks<T>(items: readonly T[], store: (part: T[]) => Promise<unknown>) {
  for (let at = 0; at < items.length; at += CHUNK_ROWS) {
    await store(items.slice(at, at + CHUNK_ROWS));
  }
}

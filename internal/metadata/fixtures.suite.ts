import { afterEach, beforeEach } from 'vitest';
import { Fault } from '../fault/fault.js';
import type {
  Agent,
  Answer,
  DedupRunRow,
  Deletion,
  Key,
  Metadata,
  Org,
  Partition,
  Session,
  Span,
} from './metadata.js';

/** One store that can be opened several times, also at once, as several processes would. */
export interface Stand {
  open(): Promise<Metadata>;
  remove(): Promise<void>;
}

/** 2026-11-21T00:00:00Z: a round number of days, so that tests can count hours. */
export const DAY = 20_778;
export const NOON = (DAY * 24 + 12) * 3_600_000_000;
export const HOUR = 3_600_000_000;

export function org(name: string, more: Partial<Org> = {}): Org {
  return { id: `org_${name}`, name, createdUs: NOON, retentionDays: null, ...more };
}

export function key(orgId: string, name: string, more: Partial<Key> = {}): Key {
  return {
    id: `key_${name}`,
    orgId,
    name,
    prefix: `mtk_${name}`,
    permissions: ['read', 'write'],
    createdUs: NOON,
    expiresUs: null,
    revokedUs: null,
    lastUsedUs: null,
    ...more,
  };
}

export function agent(orgId: string, name: string, more: Partial<Agent> = {}): Agent {
  const id = `agent_${name}`;
  return { id, orgId, name, description: '', configJson: '', createdUs: NOON, ...more };
}

export function session(orgId: string, id: string, more: Partial<Session> = {}): Session {
  return {
    id,
    orgId,
    agentId: 'crawler',
    status: 'active',
    metadataJson: '',
    createdUs: NOON,
    updatedUs: NOON,
    closedUs: null,
    ...more,
  };
}

export function answer(orgId: string, keyText: string, more: Partial<Answer> = {}): Answer {
  return {
    orgId,
    route: 'memories',
    key: keyText,
    bodyHash: 'b'.repeat(64),
    createdUs: NOON,
    answer: '{"ids":["mem_1"]}',
    ...more,
  };
}

export function deletion(orgId: string, id: string, more: Partial<Deletion> = {}): Deletion {
  return {
    id,
    orgId,
    filter: { sessionId: 's1', tags: ['a', 'b'], minImportance: 0.25 },
    stream: 'log',
    position: 7,
    requestedUs: NOON,
    deadlineUs: NOON + 24 * HOUR,
    state: 'accepted',
    doneUs: null,
    ...more,
  };
}

export function partition(id: string, more: Partial<Partition> = {}): Partition {
  return {
    id,
    stream: 'log',
    fromPosition: 1,
    toPosition: 10,
    key: `events/${id}.parquet`,
    location: 'local',
    day: DAY,
    rows: 10,
    bytes: 1_000,
    checksum: 'c'.repeat(64),
    minTimeUs: NOON,
    maxTimeUs: NOON + HOUR,
    minExpiresUs: null,
    level: 0,
    state: 'live',
    ...more,
  };
}

export function span(orgId: string, more: Partial<Span> = {}): Span {
  return {
    orgId,
    agentId: 'crawler',
    sessionId: 's1',
    firstUs: NOON,
    lastUs: NOON + HOUR,
    rows: 10,
    decisions: 2,
    entities: 1,
    sessions: 0,
    errors: 3,
    minExpiresUs: null,
    ...more,
  };
}

export function run(path: string, more: Partial<DedupRunRow> = {}): DedupRunRow {
  const checksum = 'd'.repeat(64);
  return { path, keys: 3, bytes: 100, checksum, newestUs: NOON, through: 10, ...more };
}

/** A new store for each test: what is answered opens it, once more with each call. */
export function eachTest(stand: () => Promise<Stand>) {
  const opened: Metadata[] = [];
  let current: Stand;
  const open = async () => {
    const metadata = await current.open();
    opened.push(metadata);
    return metadata;
  };
  beforeEach(async () => {
    current = await stand();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((metadata) => metadata.close()));
    await current.remove();
  });
  return open;
}

/** The code of the fault that `promise` rejects with. */
export async function faultOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => new Error('did not reject'),
    (reason: unknown) => reason,
  );
  return error instanceof Fault ? error.code : String(error);
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, Api } from '../support/api.js';
import type { Memory, NewMemory } from '../support/memory.js';
import type { Random } from '../support/random.js';
import type { EventMaker } from './events.js';
import type { Entry, Finding, Ledger } from './ledger.js';

/** A request that may be sent again, byte for byte, with its key. */
export interface Retry {
  body: NewMemory | { memories: NewMemory[] };
  key: string | undefined;
  entries: Entry[];
  answered: boolean;
}

export interface Writer {
  client: Api;
  ledger: Ledger;
  maker: EventMaker;
  random: Random;
  /** What may be retried after the restart. */
  retries: Retry[];
  findings: Finding[];
  stopped: () => boolean;
}

type Step = (writer: Writer) => Promise<void>;

/** One step of each of the eight writers of a cycle. */
export const STEPS: readonly Step[] = [
  (w) => single(w, false),
  (w) => single(w, true),
  (w) => single(w, false),
  (w) => single(w, true),
  (w) => batch(w, false),
  (w) => batch(w, true),
  stream,
  eraseSession,
];

/** Repeats a step until the server is gone or the cycle is over. */
export async function run(writer: Writer, step: Step): Promise<void> {
  while (!writer.stopped()) {
    try {
      await step(writer);
    } catch (error) {
      if (!isCut(error)) throw error;
      return;
    }
    if (writer.random.chance(0.5)) await sleep(writer.random.int(0, 15));
  }
}

/** A connection that the kill cut, which says nothing about what was stored. */
export function isCut(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.message === 'fetch failed' || error.message === 'terminated';
}

async function single(w: Writer, withKey: boolean): Promise<void> {
  const event = w.maker.next();
  const entries = w.ledger.send([event]);
  const retry = noteRetry(w, event, entries, withKey);
  const answer = await w.client.post<Memory>('/memories', event, { headers: keyHeader(retry.key) });
  retry.answered = acknowledge(w, entries, answer, [answer.body]);
  const [entry] = entries;
  if (entry?.id !== undefined && w.random.chance(0.08)) await erase(w, entry);
}

async function batch(w: Writer, withKey: boolean): Promise<void> {
  const events = w.maker.batch(w.random.int(2, 20));
  const entries = w.ledger.send(events, true);
  const body = { memories: events };
  const retry = noteRetry(w, body, entries, withKey);
  const headers = keyHeader(retry.key);
  const answer = await w.client.post<{ memories: Memory[] }>('/memories', body, { headers });
  retry.answered = acknowledge(w, entries, answer, answer.body.memories);
}

async function stream(w: Writer): Promise<void> {
  const events = w.maker.batch(w.random.int(1, 80));
  const entries = w.ledger.send(events);
  const answer = await w.client.ndjson<{ accepted: number }>(events);
  if (refused(answer.status)) return;
  if (answer.status === 200 && answer.body.accepted === events.length) {
    for (const entry of entries) entry.state = 'acked';
  } else {
    w.findings.push(unexpected('NDJSON', answer));
  }
}

/** Fills a session, then erases it by filter: none of it may ever come back. */
async function eraseSession(w: Writer): Promise<void> {
  w.maker.newSession();
  const events = w.maker.batch(w.random.int(1, 20));
  const entries = w.ledger.send(events, true);
  const wrote = await w.client.post<{ memories: Memory[] }>('/memories', { memories: events });
  if (!acknowledge(w, entries, wrote, wrote.body.memories) || w.random.chance(0.3)) return;
  for (const entry of entries) entry.deletion = 'asked';
  const query = `session_id=${w.maker.sessionId}`;
  const answer = await w.client.del<{ deleted: number }>(`/memories?${query}`);
  if (refused(answer.status)) return;
  for (const entry of entries) entry.deletion = 'acked';
  if (answer.status !== 200 || answer.body.deleted !== entries.length) {
    w.findings.push(unexpected(`erasing ${entries.length} of a session`, answer));
  }
}

async function erase(w: Writer, entry: Entry): Promise<void> {
  entry.deletion = 'asked';
  const answer = await w.client.del(`/memories/${entry.id}`);
  if (answer.status === 204) entry.deletion = 'acked';
  else if (!refused(answer.status)) w.findings.push(unexpected('DELETE by id', answer));
}

function noteRetry(w: Writer, body: Retry['body'], entries: Entry[], withKey: boolean): Retry {
  const key = withKey ? `key-${entries[0]?.content.split(' ', 2).join('')}` : undefined;
  const retry: Retry = { body, key, entries, answered: false };
  w.retries.push(retry);
  return retry;
}

/** Takes over the ids of a 201. False: nothing was promised. */
function acknowledge(
  w: Writer,
  entries: readonly Entry[],
  answer: Answer<unknown>,
  stored: readonly Memory[] | undefined,
): boolean {
  if (refused(answer.status)) return false;
  if (answer.status !== 201 || stored?.length !== entries.length) {
    w.findings.push(unexpected(`a write of ${entries.length}`, answer));
    return false;
  }
  for (const [at, entry] of entries.entries()) {
    const memory = stored[at];
    if (memory?.content !== entry.content) w.findings.push(unexpected('other content', answer));
    entry.state = 'acked';
    if (memory !== undefined) entry.id = memory.id;
  }
  return true;
}

/**
 * After the restart: sends again what was not answered and some of what was. A key brings the
 * first answer back; without one, an event that survived is a duplicate of itself.
 */
export async function retryAll(client: Api, retries: readonly Retry[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const retry of retries) {
    const headers = keyHeader(retry.key);
    const answer = await client.post<RetryBody>('/memories', retry.body, { headers });
    const problem = retry.key === undefined ? unkeyed(retry, answer) : keyed(retry, answer);
    if (problem !== undefined) findings.push(unexpected(`${problem} on a retry`, answer));
  }
  return findings;
}

interface RetryBody {
  id?: string;
  memories?: { id: string }[];
  deleted?: boolean;
}

function keyed(retry: Retry, answer: Answer<RetryBody>): string | undefined {
  if (answer.status !== 201) return 'no 201';
  const ids = answer.body.memories?.map((memory) => memory.id) ?? [answer.body.id ?? ''];
  for (const [at, entry] of retry.entries.entries()) {
    if (entry.id !== undefined && entry.id !== ids[at]) return `not the first id ${entry.id}`;
    entry.id = ids[at] ?? '';
    entry.state = 'acked';
    const single = retry.entries.length === 1;
    if (single && entry.deletion === 'acked' && answer.body.deleted !== true) return 'no "deleted"';
  }
  return undefined;
}

function unkeyed(retry: Retry, answer: Answer<RetryBody>): string | undefined {
  const [entry] = retry.entries;
  if (retry.entries.length !== 1 || entry === undefined) return undefined;
  if (answer.status !== 201 && answer.status !== 409) return 'neither 201 nor 409';
  if (entry.id !== undefined && entry.id !== answer.body.id) return `not the first id ${entry.id}`;
  if (answer.body.id !== undefined) entry.id = answer.body.id;
  entry.state = 'acked';
  return undefined;
}

function keyHeader(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { 'idempotency-key': key };
}

/** Refusals are allowed under load and while draining; they promise nothing. */
function refused(status: number): boolean {
  return status === 503 || status === 429;
}

export function unexpected(what: string, answer: Answer<unknown>): Finding {
  const text = `${what}: ${answer.status} ${JSON.stringify(answer.body).slice(0, 300)}`;
  return { kind: 'answer', id: answer.headers.get('x-request-id') ?? '', text };
}

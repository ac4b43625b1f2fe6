import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Api, api } from '../../support/api.js';
import { createOrg } from '../../support/cli.js';
import { type Random, randomOf } from '../../support/random.js';
import { startServer, type TestServer, tempDir } from '../../support/server.js';
import { Difference, same } from './compare.js';
import { Model } from './model.js';

/**
 * So small that most reads meet events in several files and in the buffer, and that files are
 * merged, and erased rows removed from them, under most operations.
 */
const SMALL_BUFFERS = {
  MEMTRACE_BUFFER_MAX_ROWS: '100',
  MEMTRACE_BUFFER_MAX_AGE: '500ms',
  MEMTRACE_WAL_SEGMENT_SIZE: '1MiB',
  MEMTRACE_COMPACTION_INTERVAL: '200ms',
  MEMTRACE_COMPACTION_MIN_FILES: '2',
  MEMTRACE_ERASURE_DEADLINE: '1m',
};
const EXPIRY_MARGIN_MS = 1_000;
const TAIL = 25;

/** One organization: what is asked and what should come back. */
export interface Org {
  name: string;
  key: string;
  model: Model;
}

/** The real server, two organizations on it, and the list of what was done. */
export class World {
  readonly random: Random;
  private server: TestServer;
  private readonly orgs: Org[];
  private readonly done: string[] = [];

  private constructor(seed: number, server: TestServer, orgs: Org[]) {
    this.random = randomOf(seed);
    this.server = server;
    this.orgs = orgs;
  }

  static async open(seed: number): Promise<World> {
    const server = await startServer({ dataDir: tempDir('memtrace-model-'), env: SMALL_BUFFERS });
    const second = await createOrg(server.dataDir, 'second');
    return new World(seed, server, [
      { name: 'default', key: server.key, model: new Model() },
      { name: 'second', key: second.key, model: new Model() },
    ]);
  }

  anyOrg(): Org {
    return this.random.pick(this.orgs);
  }

  otherOrg(org: Org): Org {
    return this.orgs.find((o) => o !== org) ?? org;
  }

  api(org: Org): Api {
    return api(this.server, org.key);
  }

  get operations(): number {
    return this.done.length;
  }

  note(operation: string): void {
    this.done.push(operation);
  }

  /** What led here, newest last. */
  tail(): string {
    const first = Math.max(0, this.done.length - TAIL);
    return this.done
      .slice(first)
      .map((text, at) => `${first + at + 1}. ${text}`)
      .join('\n');
  }

  async restart(how: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const { dataDir } = this.server;
    const exit = await this.server.stop(how);
    if (how === 'SIGTERM' && exit.code !== 0) {
      throw new Difference(`SIGTERM ended with ${JSON.stringify(exit)}`);
    }
    this.server = await startServer({ dataDir, env: SMALL_BUFFERS });
  }

  async close(): Promise<void> {
    await this.server.stop('SIGKILL');
  }

  /** No memory expires while an operation runs, so that the model knows what is alive. */
  async awaitExpiries(): Promise<void> {
    for (const { model } of this.orgs) {
      for (const { expires_at } of model.memories.values()) {
        const left = expires_at === undefined ? -1_000 : Date.parse(expires_at) - Date.now();
        if (left > -30 && left < EXPIRY_MARGIN_MS) await sleep(left + 40);
      }
    }
  }
}

/** The body of an answer that must have this status. */
export function must<T>(what: string, answer: Answer<T>, status: number): T {
  if (answer.status !== status) {
    const body = JSON.stringify(answer.body)?.slice(0, 300);
    throw new Difference(`${what}: got ${answer.status} ${body}, expected ${status}`);
  }
  return answer.body;
}

/** A refusal with its code and, for invalid input, the field it names. */
export function mustRefuse(
  what: string,
  answer: Answer<Record<string, unknown>>,
  expected: { status: number; code?: string; field?: string },
): void {
  const body = must(what, answer, expected.status);
  if (typeof body['error'] !== 'string') throw new Difference(`${what}: no error sentence`);
  if (expected.code !== undefined) same(`${what}: code`, body['code'], expected.code);
  if (expected.field !== undefined) same(`${what}: field`, body['field'], expected.field);
}

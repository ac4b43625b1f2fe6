import type { Worker } from 'node:worker_threads';
import { Fault } from '../../fault/fault.js';
import type { SlowStatement } from './database.js';
import type { Noun, Run, Verb } from './operations.js';
import { type CallMessage, decodeError, type Reply, type Request, type Response } from './wire.js';

interface Waiting {
  resolve: (value: unknown) => void;
  reject: (error: Error) => void;
}

/**
 * Calls to the worker. Those of one tick of the event loop travel in one message, and so do the
 * answers of one round: a hop between threads costs more than most of the queries.
 */
export class Rpc {
  private readonly worker: Worker;
  private readonly onSlow: (statement: SlowStatement) => void;
  private readonly waiting = new Map<number, Waiting>();
  private outbox: CallMessage[] = [];
  private lastId = 0;
  /** Why calls are refused, once the worker is gone or closing. */
  private gone: Error | null = null;
  private opening: Waiting | null = null;
  private closing: Waiting | null = null;
  private closed: Promise<void> | null = null;
  /** Resolves once the worker has its database open; rejects with the reason otherwise. */
  readonly opened: Promise<void>;

  constructor(worker: Worker, onSlow: (statement: SlowStatement) => void) {
    this.worker = worker;
    this.onSlow = onSlow;
    this.opened = new Promise<unknown>((resolve, reject) => {
      this.opening = { resolve, reject };
    }).then(() => undefined);
    worker.on('message', (response: Response) => this.receive(response));
    worker.on('error', (error) => this.lose(error));
    worker.on('exit', (code) => this.lose(new Error(`the metadata worker exited (${code})`)));
  }

  call<N extends Noun, V extends Verb<N>>(
    noun: N,
    verb: V,
    ...args: Parameters<Run<N, V>>
  ): Promise<ReturnType<Run<N, V>>> {
    return new Promise<unknown>((resolve, reject) => {
      if (this.gone) {
        reject(unavailable(this.gone));
        return;
      }
      this.lastId += 1;
      this.waiting.set(this.lastId, { resolve, reject });
      // The check phase follows the sockets of a tick, so their requests share a message.
      if (this.outbox.length === 0) setImmediate(() => this.send());
      this.outbox.push([this.lastId, noun, verb, args]);
    }) as Promise<ReturnType<Run<N, V>>>;
  }

  /** After the calls before it. Idempotent. */
  close(): Promise<void> {
    this.closed ??= new Promise<unknown>((resolve, reject) => {
      if (this.gone) {
        resolve(undefined);
        return;
      }
      this.send();
      this.closing = { resolve, reject };
      this.gone = new Error('the metadata store is closed');
      this.worker.postMessage({ close: true } satisfies Request);
    }).then(() => undefined);
    return this.closed;
  }

  private send(): void {
    if (this.outbox.length === 0) return;
    const calls = this.outbox;
    this.outbox = [];
    this.worker.postMessage({ calls } satisfies Request);
  }

  private receive(response: Response): void {
    if ('replies' in response) for (const reply of response.replies) this.settle(reply);
    else if ('slow' in response) this.onSlow(response.slow);
    else if ('opened' in response) settleWith(this.opening, response.opened);
    else settleWith(this.closing, response.closed);
  }

  private settle([id, value, error]: Reply): void {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) waiting?.reject(decodeError(error));
    else waiting?.resolve(value);
  }

  /** Also after a normal end, when nothing waits any more. */
  private lose(reason: Error): void {
    this.gone ??= reason;
    this.opening?.reject(reason);
    this.closing?.resolve(undefined);
    for (const { reject } of this.waiting.values()) reject(unavailable(reason));
    this.waiting.clear();
    this.outbox = [];
  }
}

function settleWith(waiting: Waiting | null, error: Parameters<typeof decodeError>[0] | null) {
  if (error) waiting?.reject(decodeError(error));
  else waiting?.resolve(undefined);
}

function unavailable(cause: Error): Fault {
  const details = { retryAfterS: 5, cause };
  return new Fault('store_unavailable', 'the metadata store is unavailable', details);
}

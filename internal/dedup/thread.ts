import type { Worker } from 'node:worker_threads';
import { spawnWorker } from '../base/worker.js';
import { Fault } from '../fault/fault.js';
import type { AnyRequest, Call, Operations, Reply } from './protocol.js';

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** The main thread's end of one dedup worker: a call is one message there and one back. */
export class RunThread {
  /** Started by the first call: an index without runs needs no thread. */
  private worker: Worker | null = null;
  private readonly onDeath: (error: Error) => void;
  private readonly pending = new Map<number, Pending>();
  private ticket = 0;
  private dead: Error | null = null;

  /** @param onDeath told if the thread ends unasked: only a restart of the process helps then */
  constructor(onDeath: (error: Error) => void) {
    this.onDeath = onDeath;
  }

  private start(): Worker {
    // Its heap holds next to nothing; what it works on are array buffers outside of it.
    const resourceLimits = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 };
    const worker = spawnWorker(import.meta.url, './runs.worker', { resourceLimits });
    worker.unref();
    worker.on('message', (reply: Reply) => this.answer(worker, reply));
    const died = (error: Error): void => {
      if (this.dead === null) this.onDeath(error);
      this.die(error);
    };
    worker.on('error', died);
    worker.on('exit', () => died(new Error('the dedup thread has ended')));
    return worker;
  }

  /**
   * Rejects with Fault `disk_full`, or `store_unavailable` with the cause; nothing is retried.
   */
  call<K extends keyof Operations>(
    kind: K,
    asks: Operations[K]['asks'],
  ): Promise<Operations[K]['gives']> {
    if (this.dead !== null) return Promise.reject(unavailable(this.dead));
    const ticket = ++this.ticket;
    const call: Call = { ticket, request: { kind, asks } as AnyRequest };
    return new Promise((resolve, reject) => {
      this.pending.set(ticket, { resolve: resolve as (value: unknown) => void, reject });
      this.worker ??= this.start();
      // A pending call keeps the process alive, an idle thread does not.
      this.worker.ref();
      this.worker.postMessage(call);
    });
  }

  async end(): Promise<void> {
    this.die(new Error('the dedup index is closed'));
    await this.worker?.terminate();
  }

  private answer(worker: Worker, { ticket, gives, error }: Reply): void {
    const pending = this.pending.get(ticket);
    this.pending.delete(ticket);
    if (this.pending.size === 0) worker.unref();
    if (error === undefined) pending?.resolve(gives);
    else pending?.reject(faultOf(error));
  }

  private die(error: Error): void {
    this.dead ??= error;
    for (const pending of this.pending.values()) pending.reject(unavailable(this.dead));
    this.pending.clear();
  }
}

function faultOf(error: { message: string; code?: string }): Fault {
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') {
    return new Fault('disk_full', 'the disk is full', { retryAfterS: 5, cause: error });
  }
  return unavailable(new Error(error.message));
}

function unavailable(cause: Error): Fault {
  const what = 'the deduplication index cannot be read';
  return new Fault('store_unavailable', what, { retryAfterS: 1, cause });
}

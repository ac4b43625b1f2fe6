import type { Worker } from 'node:worker_threads';
import { spawnWorker } from '../../base/worker.js';
import { Fault } from '../../fault/fault.js';
import type { JobMessage, ResultMessage } from './context.worker.js';
import type { ContextJob, RenderedContext } from './job.js';

/** The vocabulary takes 60 MB: a thread without work gives it back after this time. */
const IDLE_MS = 5 * 60_000;
/** Bounds a defect, not a request: those are bounded by what goes into a job. */
const HEAP_MIB = 512;

/** Counts tokens, and so fits contexts, outside the event loop. */
export interface TokenCounter {
  /** Renders and fits one context. Fails with Fault `internal` if the thread dies. */
  fit(job: ContextJob): Promise<RenderedContext>;
  /** Ends the thread; what it was at fails. A later call of fit() starts a new one. */
  close(): Promise<void>;
}

export interface TokenCounterOptions {
  /** Milliseconds without work after which the thread ends. */
  idleMs?: number;
  /** Starts the thread; a test passes its own. */
  spawn?: () => Worker;
}

/** A counter whose thread starts with the first use. At rest it does not keep a process up. */
export function createTokenCounter(options: TokenCounterOptions = {}): TokenCounter {
  return new WorkerCounter(options.idleMs ?? IDLE_MS, options.spawn ?? spawnContextWorker);
}

function spawnContextWorker(): Worker {
  const resourceLimits = { maxOldGenerationSizeMb: HEAP_MIB };
  return spawnWorker(import.meta.url, './context.worker', { resourceLimits });
}

interface Waiter {
  resolve(rendered: RenderedContext): void;
  reject(error: Error): void;
}

class WorkerCounter implements TokenCounter {
  private readonly idleMs: number;
  private readonly spawn: () => Worker;
  private readonly waiters = new Map<number, Waiter>();
  private worker: Worker | null = null;
  private idleTimer: NodeJS.Timeout | undefined;
  private nextId = 0;

  constructor(idleMs: number, spawn: () => Worker) {
    this.idleMs = idleMs;
    this.spawn = spawn;
  }

  fit(job: ContextJob): Promise<RenderedContext> {
    clearTimeout(this.idleTimer);
    this.worker ??= this.start();
    // While it works it keeps the process up, or an answer could be lost at the end of one.
    this.worker.ref();
    const message: JobMessage = { id: this.nextId++, job };
    const result = new Promise<RenderedContext>((resolve, reject) => {
      this.waiters.set(message.id, { resolve, reject });
    });
    this.worker.postMessage(message);
    return result;
  }

  async close(): Promise<void> {
    const { worker } = this;
    this.drop(new Error('the context worker was closed'));
    await worker?.terminate();
  }

  private start(): Worker {
    const worker = this.spawn();
    worker.on('message', (message: ResultMessage) => this.settle(message));
    worker.on('error', (error) => this.lose(worker, error));
    worker.on('exit', (code) => this.lose(worker, new Error(`the worker ended with ${code}`)));
    return worker;
  }

  private settle(message: ResultMessage): void {
    const waiter = this.waiters.get(message.id);
    this.waiters.delete(message.id);
    if (this.waiters.size === 0) this.rest();
    if ('rendered' in message) waiter?.resolve(message.rendered);
    else waiter?.reject(failure(new Error(message.error)));
  }

  private rest(): void {
    this.worker?.unref();
    this.idleTimer = setTimeout(() => void this.close(), this.idleMs);
    this.idleTimer.unref();
  }

  private lose(worker: Worker, cause: Error): void {
    if (this.worker === worker) this.drop(cause);
  }

  private drop(cause: Error): void {
    clearTimeout(this.idleTimer);
    this.worker = null;
    for (const waiter of this.waiters.values()) waiter.reject(failure(cause));
    this.waiters.clear();
  }
}

function failure(cause: Error): Fault {
  return new Fault('internal', 'the context could not be rendered', { cause });
}

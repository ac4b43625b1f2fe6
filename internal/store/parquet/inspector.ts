import type { Worker } from 'node:worker_threads';
import { spawnWorker } from '../../base/worker.js';
import type { Depth, Inspection } from './inspect.js';

export interface InspectRequest {
  ticket: number;
  path: string;
  depth: Depth;
  bytesPerSecond?: number;
}

export type InspectAnswer =
  | { ticket: number; inspection: Inspection }
  | { ticket: number; message: string; code: string };

/** A file that could not be inspected: `code` of the system (ENOENT, EIO …), DAMAGED, or ''. */
export class InspectError extends Error {
  override name = 'InspectError';
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

interface Waiting {
  resolve(inspection: Inspection): void;
  reject(error: Error): void;
}

/** Inspects files in a thread of its own, one after another; the thread starts on first use. */
export class Inspector {
  private worker: Worker | null = null;
  private readonly waiting = new Map<number, Waiting>();
  private nextTicket = 0;
  private readonly priority: 'normal' | 'background';

  constructor(priority: 'normal' | 'background' = 'normal') {
    this.priority = priority;
  }

  /** Rejects with InspectError. */
  inspect(path: string, depth: Depth, bytesPerSecond?: number): Promise<Inspection> {
    const worker = this.worker ?? this.start();
    const ticket = this.nextTicket++;
    worker.ref();
    return new Promise((resolve, reject) => {
      this.waiting.set(ticket, { resolve, reject });
      worker.postMessage({ ticket, path, depth, bytesPerSecond } satisfies InspectRequest);
    });
  }

  async close(): Promise<void> {
    await this.worker?.terminate();
  }

  private start(): Worker {
    const worker = spawnWorker(import.meta.url, './inspect.worker', { workerData: this.priority });
    this.worker = worker;
    worker.on('message', (answer: InspectAnswer) => this.settle(answer));
    worker.on('error', (error) => this.fail(worker, error.message));
    worker.on('exit', () => this.fail(worker, 'the inspecting thread ended'));
    return worker;
  }

  private settle(answer: InspectAnswer): void {
    const waiting = this.waiting.get(answer.ticket);
    this.waiting.delete(answer.ticket);
    // An idle thread does not keep the process alive, a busy one does.
    if (this.waiting.size === 0) this.worker?.unref();
    if ('inspection' in answer) waiting?.resolve(answer.inspection);
    else waiting?.reject(new InspectError(answer.message, answer.code));
  }

  /** Its requests fail (no verdict on their files), and the next one starts a new thread. */
  private fail(worker: Worker, message: string): void {
    if (this.worker !== worker) return;
    this.worker = null;
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of waiting) reject(new InspectError(message, ''));
  }
}

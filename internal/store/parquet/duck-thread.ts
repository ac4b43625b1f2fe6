import type { Worker } from 'node:worker_threads';
import { spawnWorker } from '../../base/worker.js';
import {
  type DuckOptions,
  type SqlCell,
  SqlError,
  type SqlErrorKind,
  type SqlValue,
} from './duck.js';

export interface BackgroundInput {
  options: Omit<DuckOptions, 'maxConcurrent' | 'threads'>;
  /** 0: the priority of the others; 5: a third of their time where all want it; 10: a tenth. */
  nice: number;
  /** One Int32: not 0 ends the statement that runs. */
  stop: SharedArrayBuffer;
}

export interface BackgroundStatement {
  ticket: number;
  sql: string;
  values: readonly SqlValue[];
}

export type BackgroundReport =
  | { ticket: number; rows: SqlCell[][]; more: boolean }
  | { ticket: number; message: string; kind: SqlErrorKind };

interface Waiting {
  sql: string;
  rows: SqlCell[][];
  resolve(rows: SqlCell[][]): void;
  reject(error: Error): void;
}

/** A thread without work for so long ends and gives its memory back, in milliseconds. */
const IDLE_MS = 5_000;

/** Statements in a thread of its own with an instance of its own: see duck.worker.ts. */
export class DuckThread {
  private readonly options: BackgroundInput['options'];
  private readonly nice: number;
  private readonly stop = new SharedArrayBuffer(4);
  private worker: Worker | null = null;
  private readonly waiting = new Map<number, Waiting>();
  private nextTicket = 0;
  private idleTimer: NodeJS.Timeout | null = null;
  private closed = false;

  constructor(options: BackgroundInput['options'], nice: number) {
    this.options = options;
    this.nice = nice;
  }

  /** Rows of one statement. Rejects with SqlError. */
  run(sql: string, values: readonly SqlValue[] = []): Promise<SqlCell[][]> {
    if (this.closed) return Promise.reject(new SqlError(sql, 'closed', 'interrupted'));
    if (this.idleTimer !== null) clearTimeout(this.idleTimer);
    const worker = this.worker ?? this.start();
    const ticket = this.nextTicket++;
    worker.ref();
    return new Promise((resolve, reject) => {
      this.waiting.set(ticket, { sql, rows: [], resolve, reject });
      worker.postMessage({ ticket, sql, values } satisfies BackgroundStatement);
    });
  }

  /** Stops what runs; it rejects with kind `interrupted`. */
  async close(): Promise<void> {
    this.closed = true;
    Atomics.store(new Int32Array(this.stop), 0, 1);
    await this.end();
  }

  private async end(): Promise<void> {
    const { worker } = this;
    if (worker === null) return;
    this.worker = null;
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    worker.postMessage('close');
    await ended;
    this.failAll('the thread ended');
  }

  private start(): Worker {
    const input: BackgroundInput = { options: this.options, nice: this.nice, stop: this.stop };
    const worker = spawnWorker(import.meta.url, './duck.worker', { workerData: input });
    this.worker = worker;
    worker.on('message', (report: BackgroundReport) => this.settle(report));
    worker.on('error', (error) => this.lost(worker, error.message));
    worker.on('exit', () => this.lost(worker, 'the thread ended'));
    return worker;
  }

  private settle(report: BackgroundReport): void {
    const waiting = this.waiting.get(report.ticket);
    if (waiting === undefined) return;
    if ('rows' in report) {
      for (const row of report.rows) waiting.rows.push(row);
      if (report.more) return;
    }
    this.waiting.delete(report.ticket);
    if (this.waiting.size === 0) this.rest();
    if ('rows' in report) waiting.resolve(waiting.rows);
    else waiting.reject(new SqlError(waiting.sql, report.message, report.kind));
  }

  private rest(): void {
    this.worker?.unref();
    this.idleTimer = setTimeout(() => {
      if (this.waiting.size === 0) void this.end();
    }, IDLE_MS);
    this.idleTimer.unref();
  }

  private lost(worker: Worker, message: string): void {
    if (this.worker !== worker) return;
    this.worker = null;
    this.failAll(message);
  }

  private failAll(message: string): void {
    const all = [...this.waiting.values()];
    this.waiting.clear();
    for (const { sql, reject } of all) reject(new SqlError(sql, message, 'interrupted'));
  }
}

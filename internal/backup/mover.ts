import type { Worker } from 'node:worker_threads';
import { spawnWorker } from '../base/worker.js';
import { codeOf, hashOf } from '../objects/local.js';
import { DamagedSource, type Objects } from '../objects/objects.js';
import { download, measure } from '../objects/open.js';
import type { S3Settings } from '../objects/s3.js';

export interface Content {
  bytes: number;
  sha256: string;
}

/** Moves bytes between files and a target and reads all of them: what takes long in a backup. */
export interface Mover {
  /** The SHA-256 of a file, hex. */
  hash(path: string): Promise<string>;
  /** As Objects.copyFile. */
  copy(key: string, path: string, sha256: string): Promise<boolean>;
  /** What an object holds, read to its end; null if there is none. */
  check(key: string): Promise<Content | null>;
  /** Writes an object into a new file, synced. Rejects with an error of code ENOENT for none. */
  fetch(key: string, path: string): Promise<Content>;
  close(): Promise<void>;
}

/** Moves in this thread. */
export class DirectMover implements Mover {
  private readonly objects: Objects;

  constructor(objects: Objects) {
    this.objects = objects;
  }

  hash(path: string): Promise<string> {
    return hashOf(path);
  }

  copy(key: string, path: string, sha256: string): Promise<boolean> {
    return this.objects.copyFile(key, path, sha256);
  }

  async check(key: string): Promise<Content | null> {
    try {
      return await measure(this.objects, key);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw error;
    }
  }

  fetch(key: string, path: string): Promise<Content> {
    return download(this.objects, key, path);
  }

  async close(): Promise<void> {}
}

export interface MoverInput {
  place: string;
  settings: S3Settings;
}

export type Move = 'hash' | 'copy' | 'check' | 'fetch';

export interface MoveRequest {
  ticket: number;
  move: Move;
  args: string[];
}

export type MoveAnswer =
  | { ticket: number; value: unknown }
  | { ticket: number; message: string; code: string; damaged: boolean };

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * Moves in a thread of low priority: a server hashes, encrypts and sends gigabytes without its
 * requests waiting behind them.
 */
export class ThreadMover implements Mover {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private tickets = 0;
  private lost: Error | null = null;

  constructor(input: MoverInput) {
    this.worker = spawnWorker(import.meta.url, './mover.worker', {
      workerData: input,
      name: 'backup',
      execArgv: [],
    });
    this.worker.on('message', (answer: MoveAnswer) => this.settle(answer));
    this.worker.on('error', (error) => this.lose(error));
    this.worker.on('exit', () => this.lose(new Error('the thread of the backup ended')));
  }

  hash(path: string): Promise<string> {
    return this.call('hash', path) as Promise<string>;
  }

  copy(key: string, path: string, sha256: string): Promise<boolean> {
    return this.call('copy', key, path, sha256) as Promise<boolean>;
  }

  check(key: string): Promise<Content | null> {
    return this.call('check', key) as Promise<Content | null>;
  }

  fetch(key: string, path: string): Promise<Content> {
    return this.call('fetch', key, path) as Promise<Content>;
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private call(move: Move, ...args: string[]): Promise<unknown> {
    if (this.lost !== null) return Promise.reject(this.lost);
    const ticket = this.tickets++;
    return new Promise((resolve, reject) => {
      this.waiting.set(ticket, { resolve, reject });
      this.worker.postMessage({ ticket, move, args } satisfies MoveRequest);
    });
  }

  private settle(answer: MoveAnswer): void {
    const waiting = this.waiting.get(answer.ticket);
    this.waiting.delete(answer.ticket);
    if ('value' in answer) {
      waiting?.resolve(answer.value);
      return;
    }
    const { message, code, damaged } = answer;
    const error = damaged ? new DamagedSource(message) : new Error(message);
    waiting?.reject(code === '' ? error : Object.assign(error, { code }));
  }

  private lose(error: Error): void {
    this.lost ??= error;
    for (const { reject } of this.waiting.values()) reject(this.lost);
    this.waiting.clear();
  }
}

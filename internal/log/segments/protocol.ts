import type { Damage } from './damage.js';
import type { FaultPlan } from './faults.js';
import type { Chunk, Cursor } from './reader.js';

/** What the log's thread is started with. */
export interface WorkerInput {
  dir: string;
  /** `w_` and a ULID, for a directory that has no stream yet. */
  newWriter: string;
  segmentBytes: number;
  growBytes: number;
  ack: 'fsync' | 'memory';
  faults: FaultPlan | null;
}

/** To the thread. One `commit` is on its way at a time; the others are answered in order, too. */
export type Command =
  | { type: 'commit'; buffer: ArrayBuffer; used: number; records: number }
  | { type: 'probe' }
  | { type: 'call'; id: number; call: Call };

export type Call =
  | { name: 'read'; cursor: Cursor }
  | { name: 'release'; position: number }
  | { name: 'rotate' }
  | { name: 'close' };

/** What changes with most answers. */
export interface Stats {
  bytes: number;
  segments: number;
  /** Position of the newest record. */
  last: number;
}

/** One fdatasync, and what it made durable. */
export interface Synced {
  ms: number;
  records: number;
  bytes: number;
}

/** An error as it crosses between threads. */
export interface Reason {
  message: string;
}

/** From the thread. */
export type Report =
  | { type: 'opened'; stream: string; stats: Stats }
  | { type: 'not_opened'; reason: Reason }
  | { type: 'committed'; buffer: ArrayBuffer; first: number; stats: Stats; synced: Synced | null }
  | { type: 'refused'; buffer: ArrayBuffer; reason: Reason; stats: Stats }
  | { type: 'probed'; room: boolean; stats: Stats }
  | { type: 'synced'; synced: Synced }
  | { type: 'damaged'; damage: Damage }
  | { type: 'returned'; id: number; stats: Stats; chunk?: Chunk; reason?: Reason }
  | { type: 'failed'; reason: Reason };

import type { FilterRoom } from './arena.js';
import type { WrittenRun } from './runwriter.js';

/** What the index asks of its two threads: one reads (lookups only), one writes. */
export interface Operations {
  /** Opens a run under a number of the caller's. */
  open: { asks: OpenRun; gives: OpenedRun | DamageNote };
  close: { asks: number[]; gives: null };
  find: { asks: Uint32Array; gives: FindAnswer };
  seal: { asks: SealJob; gives: WrittenRun };
  merge: { asks: MergeJob; gives: MergeResult };
  /** Loads the filter of a run into the room and gives its shapes; null if it is damaged. */
  filter: { asks: FilterJob; gives: Uint32Array | null };
  remove: { asks: string[]; gives: null };
  quarantine: { asks: string[]; gives: null };
  /** Removes the run files of a directory that are not to be kept. */
  sweep: { asks: { directory: string; keep: string[] }; gives: string[] };
}

export interface OpenRun {
  number: number;
  file: string;
  checksum: string;
}

export interface OpenedRun {
  /** The secret of its hashes. */
  secret: Uint8Array;
  partitions: number;
}

export interface FilterJob {
  file: string;
  checksum: string;
  room: FilterRoom;
}

export interface DamageNote {
  /** Why it cannot be used. */
  damaged: string;
}

/** Words of a question: run number, four of the hash. */
export const QUESTION_WORDS = 5;
/** Words of an answer: found, four of the id, two of the ingestion time (float64). */
export const ANSWER_WORDS = 7;

export interface FindAnswer {
  answers: Uint32Array;
  /** Pairs of run number and block. */
  damaged: [number, number][];
}

export interface SealJob {
  file: string;
  /** Entries, by ascending first byte of the hash, unsorted within one. */
  staging: SharedArrayBuffer;
  /** How many entries there are for each first byte. */
  counts: number[];
  secret: Uint8Array;
  through: number;
  room: FilterRoom;
}

export interface MergeJob {
  /** Newest first. */
  inputs: { file: string; checksum: string }[];
  file: string;
  secret: Uint8Array;
  through: number;
  room: FilterRoom;
  /** Entries ingested at or before it are dropped. */
  expiredUs: number;
}

export interface MergeResult {
  /** Null if nothing was left to keep. */
  run: WrittenRun | null;
  /** For each input the blocks that could not be read. */
  damaged: number[][];
}

export type Request = { [K in keyof Operations]: { kind: K; asks: Operations[K]['asks'] } };
export type AnyRequest = Request[keyof Operations];

/** One message to a thread and one back, matched by `ticket`. */
export interface Call {
  ticket: number;
  request: AnyRequest;
}

export interface Reply {
  ticket: number;
  gives?: unknown;
  error?: { message: string; code?: string };
}

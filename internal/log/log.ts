/** The text of a record, or its UTF-8, which is copied before `append` returns. */
export type Payload = string | Buffer;

/**
 * The write-ahead log: the room that keeps the promise "acknowledged = durable" above any store.
 *
 * A log is one stream of records. A record is one request: it is there whole or not at all. Records
 * are numbered 1, 2, 3 … without a gap and for ever (also across restarts); that number is the
 * record's position. Acknowledgements come in the order of positions.
 *
 * Implementations: segments/ (files of this machine). The contract suite in log.suite.ts holds for
 * all.
 */
export interface Log {
  /** Names the writer and its epoch; positions of different streams do not compare. */
  readonly stream: string;

  /**
   * Appends one record; resolves with its position once it is durable (ack = "fsync").
   * Rejects with Fault `disk_full` (nothing was kept), `log_failed` (the log is poisoned: C5),
   * or `overloaded` (more than the allowed bytes wait). `payload` is UTF-8 text.
   * Must not be called before `replay` is over.
   */
  append(payload: Payload): Promise<number>;

  /** The position of the newest durable record; 0 if there never was one. */
  readonly durable: number;

  /**
   * Every record that is durable now after `position`, in order; damaged ones count in `health`.
   */
  read(after: number): AsyncIterable<LogRecord>;

  /**
   * Records up to and including `position` are in the store: their space may go. Idempotent.
   * A position beyond `durable` means that the log lost records which the store has; the next
   * append comes after it. So it is called with the store's position before the first append of a
   * start.
   */
  release(position: number): Promise<void>;

  readonly health: LogHealth;

  /** Waits for what was appended, then closes. */
  close(): Promise<void>;
}

export interface LogRecord {
  position: number;
  payload: string;
}

export interface LogHealth {
  /** `full`: appends fail until there is space; `failed`: poisoned, the process must exit. */
  state: 'ok' | 'full' | 'failed';
  /** Damaged records put into quarantine since the start (C6). */
  damagedRecords: number;
  /** Bytes on disk, preallocated space included. */
  bytes: number;
  segments: number;
}

import type { DuckDBConnection, DuckDBType, DuckDBValue } from '@duckdb/node-api';
import { assert } from '../../base/assert.js';

/**
 * The only door to DuckDB: one instance in memory, connections that run side by side, statements
 * that can be interrupted, errors that carry their SQL.
 *
 * The module and the instance load with the first use (about 100 ms, most of it the linker); the
 * engine asks for it once it serves, so that a start does not wait and a first query hardly does.
 */
export interface DuckOptions {
  memoryLimitBytes: number;
  threads: number;
  /** Queries that run at once; more wait for their turn. */
  maxConcurrent: number;
  /** Directories that files are read from and written to; absolute. Nothing else can be reached. */
  directories: readonly string[];
  /** Where DuckDB spills what does not fit into its memory. */
  spillDirectory: string;
}

/** A timestamp in microseconds since 1970 UTC, as a parameter. */
export interface Micros {
  us: number;
}

/** A bound value. Not a list: the driver binds its members one by one, 2 µs each, in one go. */
export type SqlValue = string | number | Micros;

/** A cell of a result: statements cast whatever else to DOUBLE or VARCHAR. */
export type SqlCell = string | number | null;

export type SqlErrorKind = 'interrupted' | 'resources' | 'disk_full' | 'failed';

/** A statement that failed; `kind` tells a lack of memory or files from a defect of the data. */
export class SqlError extends Error {
  override name = 'SqlError';
  readonly kind: SqlErrorKind;
  /** With $n in the place of bound values, so it holds no user's text. */
  readonly sql: string;

  constructor(sql: string, cause: unknown, kind?: SqlErrorKind) {
    const message = cause instanceof Error ? cause.message : String(cause);
    super(`cannot run a statement: ${message.split('\n', 1)[0]}`, { cause });
    this.kind = kind ?? kindOf(message);
    this.sql = sql;
  }
}

function kindOf(message: string): SqlErrorKind {
  if (message.startsWith('INTERRUPT')) return 'interrupted';
  if (/No space left on device|Disk quota exceeded/i.test(message)) return 'disk_full';
  if (/^Out of Memory|Too many open files|Cannot allocate memory/i.test(message)) {
    return 'resources';
  }
  return 'failed';
}

/** After one of these DuckDB refuses everything until it is opened anew. */
const BROKEN = /^(FATAL|INTERNAL) Error|database has been invalidated/;

export type Api = typeof import('@duckdb/node-api');

export interface Opened {
  api: Api;
  connect(): Promise<DuckDBConnection>;
  close(): void;
}

/** Runs statements on one connection. */
export type Run = (
  sql: string,
  values?: readonly SqlValue[],
  signal?: AbortSignal,
) => Promise<SqlCell[][]>;

export class Duck {
  private readonly options: DuckOptions;
  private opened: Promise<Opened> | null = null;
  private idle: DuckDBConnection[] = [];
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private closed = false;

  constructor(options: DuckOptions) {
    this.options = options;
  }

  /** Rejects if DuckDB cannot be loaded. */
  async ready(): Promise<void> {
    await this.open();
  }

  /**
   * Rows of one statement. Rejects with SqlError, or with `signal.reason` as soon as the signal
   * aborts; the statement is then interrupted, and its connection comes back when it has ended.
   */
  async query(
    sql: string,
    values: readonly SqlValue[],
    signal?: AbortSignal,
  ): Promise<SqlCell[][]> {
    await this.enter(signal);
    const { api, connection } = await this.take().catch((error: unknown) => {
      this.leave();
      throw error;
    });
    const run = this.run(api, connection, { sql, values, signal });
    const settled = run.then(
      () => this.idle.push(connection),
      (error: unknown) => this.afterError(connection, error),
    );
    void settled.finally(() => this.leave());
    return signal === undefined ? run : raceAbort(run, signal);
  }

  private async take(): Promise<{ api: Api; connection: DuckDBConnection }> {
    const { api, connect } = await this.open();
    return { api, connection: this.idle.pop() ?? (await connect()) };
  }

  /** A connection for itself, outside the queries' number, closed afterwards (temporary tables). */
  async session<T>(task: (run: Run) => Promise<T>): Promise<T> {
    const { api, connect } = await this.open();
    const connection = await connect();
    try {
      return await task((sql, values = [], signal) =>
        this.run(api, connection, { sql, values, signal }),
      );
    } catch (error) {
      this.reopenIfBroken(error);
      throw error;
    } finally {
      connection.closeSync();
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const connection of this.idle) connection.closeSync();
    this.idle = [];
    await this.opened?.then(
      ({ close }) => close(),
      () => undefined,
    );
  }

  private async enter(signal?: AbortSignal): Promise<void> {
    assert(!this.closed, 'a query after close');
    signal?.throwIfAborted();
    if (this.running < this.options.maxConcurrent) {
      this.running += 1;
      return;
    }
    // Whoever leaves hands its place over, so `running` stays.
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.waiting.splice(this.waiting.indexOf(admit), 1);
        reject(signal?.reason);
      };
      const admit = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(admit);
    });
  }

  private leave(): void {
    const next = this.waiting.shift();
    if (next === undefined) this.running -= 1;
    else next();
  }

  private afterError(connection: DuckDBConnection, error: unknown): void {
    if (this.reopenIfBroken(error)) connection.closeSync();
    else this.idle.push(connection);
  }

  private reopenIfBroken(error: unknown): boolean {
    const cause = error instanceof SqlError ? error.cause : error;
    if (!(cause instanceof Error) || !BROKEN.test(cause.message) || this.closed) return false;
    for (const connection of this.idle) connection.closeSync();
    this.idle = [];
    this.opened = null;
    return true;
  }

  private open(): Promise<Opened> {
    if (this.opened !== null) return this.opened;
    const opened = openInstance(this.options);
    this.opened = opened;
    // Whoever awaits it sees the error; the next one tries anew.
    opened.catch(() => {
      if (this.opened === opened) this.opened = null;
    });
    return opened;
  }

  private async run(
    api: Api,
    connection: DuckDBConnection,
    { sql, values, signal }: Statement,
  ): Promise<SqlCell[][]> {
    const stop = interruptOnAbort(connection, signal);
    try {
      const bound = values.map((value) => bind(api, value));
      const types = values.map((value) => (typeof value === 'number' ? api.DOUBLE : undefined));
      // connection.run() takes a turn of the thread pool more, to split the text.
      const prepared = await connection.prepare(sql);
      try {
        prepared.bind(bound, types as DuckDBType[]);
        return await readRows(await prepared.run());
      } finally {
        prepared.destroySync();
      }
    } catch (error) {
      throw new SqlError(sql, error);
    } finally {
      stop();
    }
  }
}

interface Statement {
  sql: string;
  values: readonly SqlValue[];
  signal?: AbortSignal;
}

/** How often an aborted statement is interrupted anew: it may not have begun yet. */
const INTERRUPT_AGAIN_MS = 10;

function interruptOnAbort(connection: DuckDBConnection, signal?: AbortSignal): () => void {
  if (signal === undefined) return () => undefined;
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    connection.interrupt();
    timer = setInterval(() => connection.interrupt(), INTERRUPT_AGAIN_MS);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return () => {
    signal.removeEventListener('abort', onAbort);
    clearInterval(timer);
  };
}

function raceAbort<T>(run: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    run
      .then(resolve, (error: unknown) => reject(signal.aborted ? signal.reason : error))
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}

export function bind(api: Api, value: SqlValue): DuckDBValue {
  return typeof value === 'object' ? new api.DuckDBTimestampTZValue(BigInt(value.us)) : value;
}

/** How long reading rows may hold the event loop before it lets others run, in milliseconds. */
const SLICE_MS = 8;

type Result = Awaited<ReturnType<DuckDBConnection['run']>>;
type Materialized = Pick<Result, 'chunkCount' | 'getChunk'>;
type Fetched = Pick<Result, 'fetchAllChunks'>;

/** All rows, read in slices. */
export async function readRows(result: Materialized | Fetched): Promise<SqlCell[][]> {
  const rows: SqlCell[][] = [];
  let start = performance.now();
  // A result that is whole already needs no turn of the thread pool for each of its chunks.
  const chunks = 'getChunk' in result ? wholeChunks(result) : await result.fetchAllChunks();
  for (const chunk of chunks) {
    const vectors = Array.from({ length: chunk.columnCount }, (_, c) => chunk.getColumnVector(c));
    for (let r = 0; r < chunk.rowCount; r++) {
      rows.push(vectors.map((vector) => cell(vector.getItem(r))));
      if ((r & 15) === 15 && performance.now() - start > SLICE_MS) {
        await new Promise((resolve) => setImmediate(resolve));
        start = performance.now();
      }
    }
  }
  return rows;
}

function wholeChunks(result: Materialized) {
  return Array.from({ length: result.chunkCount }, (_, i) => result.getChunk(i));
}

function cell(value: unknown): SqlCell {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  // The answer of COPY and of statements without rows.
  assert(typeof value === 'bigint' || typeof value === 'boolean', `a cell of type ${typeof value}`);
  return Number(value);
}

/** An instance of its own with the settings that all have. */
export async function openInstance(options: Omit<DuckOptions, 'maxConcurrent'>): Promise<Opened> {
  const api = await import('@duckdb/node-api');
  const instance = await api.DuckDBInstance.create(':memory:', {
    threads: String(options.threads),
    memory_limit: `${Math.floor(options.memoryLimitBytes / 1024)}KiB`,
    temp_directory: options.spillDirectory,
    // No extension is ever loaded from outside: what is needed is linked in.
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
  });
  const connection = await instance.connect();
  for (const setting of settings(options)) await connection.run(setting);
  connection.closeSync();
  return { api, connect: () => instance.connect(), close: () => instance.closeSync() };
}

function settings({ directories }: Pick<DuckOptions, 'directories'>): string[] {
  // A path and the pattern that stands for it: both are looked at.
  const both = directories.flatMap((path) => [quoteText(`${path}/`), quotePath(`${path}/`)]);
  const allowed = [...new Set(both)].join(', ');
  return [
    // No privilege boundary, but a mistake cannot reach beyond the store.
    `SET GLOBAL allowed_directories = [${allowed}]`,
    'SET GLOBAL enable_external_access = false',
    // Casts between TIMESTAMP and TIMESTAMPTZ go through the session's zone.
    "SET GLOBAL TimeZone = 'UTC'",
    // Files never change under a name, so a footer once read stays right.
    'SET GLOBAL parquet_metadata_cache = true',
    // The same holds for bytes: a read would ask for the file's time 200 times otherwise.
    "SET GLOBAL validate_external_file_cache = 'NO_VALIDATION'",
    'SET GLOBAL lock_configuration = true',
  ];
}

/** A SQL string literal. For generated names only: users' texts are bound. */
export function quoteText(text: string): string {
  assert(!text.includes('\0'), 'a NUL in a SQL literal');
  return `'${text.replaceAll("'", "''")}'`;
}

/** A literal for read_parquet and read_json, which take a path for a glob pattern. */
export function quotePath(path: string): string {
  return quoteText(path.replace(/[*?[]/g, '[$&]'));
}

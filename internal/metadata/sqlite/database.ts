import BetterSqlite from 'better-sqlite3';

/** What a column can hold here: no blobs, and every integer is exact up to 2^53. */
export type Value = string | number | null;

/** Values for `?`, or one object whose members are the values of `@member` (others are ignored). */
export type Values = Value[] | [object];

export interface SlowStatement {
  sql: string;
  ms: number;
}

export interface DatabaseOptions {
  readonly?: boolean;
  /** How long SQLite itself sleeps on a lock before SQLITE_BUSY. */
  busyTimeoutMs?: number;
  /** Statements that took at least so long are reported; absent = none. */
  slowMs?: number;
  onSlow?: (statement: SlowStatement) => void;
}

/** A failure of SQLite with its code (`SQLITE_BUSY`, `SQLITE_IOERR_FSYNC` …) and the statement. */
export class DatabaseError extends Error {
  override name = 'DatabaseError';
  readonly code: string;
  readonly sql: string;

  constructor(cause: InstanceType<typeof BetterSqlite.SqliteError>, sql: string) {
    super(`${cause.message} (${cause.code}) in: ${sql.replace(/\s+/g, ' ').trim()}`, { cause });
    this.code = cause.code;
    this.sql = sql;
  }

  /** Another connection holds a lock; the same call may succeed later. */
  get busy(): boolean {
    return this.code.startsWith('SQLITE_BUSY') || this.code.startsWith('SQLITE_LOCKED');
  }
}

/**
 * The only door to better-sqlite3: keeps statements prepared, adds the SQL to errors, reports slow
 * statements. Everything blocks the calling thread, so it belongs into a worker.
 */
export class Database {
  private readonly raw: BetterSqlite.Database;
  private readonly prepared = new Map<string, BetterSqlite.Statement>();
  private readonly slowMs: number;
  private readonly onSlow: (statement: SlowStatement) => void;

  constructor(path: string, options: DatabaseOptions = {}) {
    this.slowMs = options.slowMs ?? Number.POSITIVE_INFINITY;
    this.onSlow = options.onSlow ?? (() => undefined);
    this.raw = this.guard(
      `open ${path}`,
      () =>
        new BetterSqlite(path, {
          readonly: options.readonly === true,
          timeout: options.busyTimeoutMs ?? 5_000,
        }),
    );
  }

  /** The first row, or undefined. Works for INSERT … RETURNING too. */
  get<T>(sql: string, ...values: Values): T | undefined {
    return this.guard(sql, () => this.prepare(sql).get(...values) as T | undefined);
  }

  all<T>(sql: string, ...values: Values): T[] {
    return this.guard(sql, () => this.prepare(sql).all(...values) as T[]);
  }

  /** The number of rows changed. */
  run(sql: string, ...values: Values): number {
    return this.guard(sql, () => this.prepare(sql).run(...values).changes);
  }

  /** Several statements without parameters, not kept prepared. */
  exec(sql: string): void {
    this.guard(sql, () => this.raw.exec(sql));
  }

  /** Sets a pragma if `value` is given and returns what SQLite then says it is. */
  pragma(name: string, value?: Value): Value {
    if (value !== null && value !== undefined) this.pragmaRaw(`${name} = ${value}`);
    return this.pragmaRaw(name);
  }

  private pragmaRaw(source: string): Value {
    return this.guard(`PRAGMA ${source}`, () => this.raw.pragma(source, { simple: true }) as Value);
  }

  /** One consistent snapshot for several reads. */
  snapshot<T>(reads: () => T): T {
    this.run('BEGIN');
    try {
      return reads();
    } finally {
      this.run('COMMIT');
    }
  }

  /** Takes the write lock at once: a later upgrade of a read lock could fail half-way. */
  begin(): void {
    this.run('BEGIN IMMEDIATE');
  }

  commit(): void {
    this.run('COMMIT');
  }

  /** A no-op if SQLite has already rolled back, as it does on some I/O errors. */
  rollback(): void {
    if (this.raw.inTransaction) this.run('ROLLBACK');
  }

  get inTransaction(): boolean {
    return this.raw.inTransaction;
  }

  /** Within a transaction: all of `work` or nothing of it, whatever happens to the rest. */
  savepoint<T>(work: () => T): T {
    this.run('SAVEPOINT one');
    let done = false;
    try {
      const result = work();
      done = true;
      return result;
    } finally {
      if (this.raw.inTransaction) {
        if (!done) this.run('ROLLBACK TO one');
        this.run('RELEASE one');
      }
    }
  }

  /**
   * Copies the whole database into a file as it is at one moment, in one step: between two, writes
   * of other connections would make SQLite begin again.
   */
  async copyTo(path: string): Promise<void> {
    const all = 0x7fffffff;
    try {
      await this.raw.backup(path, { progress: () => all });
    } catch (error) {
      if (error instanceof BetterSqlite.SqliteError) throw new DatabaseError(error, 'backup');
      throw error;
    }
  }

  close(): void {
    this.prepared.clear();
    this.raw.close();
  }

  private prepare(sql: string): BetterSqlite.Statement {
    const known = this.prepared.get(sql);
    if (known) return known;
    const fresh = this.raw.prepare(sql);
    this.prepared.set(sql, fresh);
    return fresh;
  }

  private guard<T>(sql: string, action: () => T): T {
    const start = performance.now();
    try {
      return action();
    } catch (error) {
      if (error instanceof BetterSqlite.SqliteError) throw new DatabaseError(error, sql);
      throw error;
    } finally {
      const ms = performance.now() - start;
      if (ms >= this.slowMs) this.onSlow({ sql, ms });
    }
  }
}

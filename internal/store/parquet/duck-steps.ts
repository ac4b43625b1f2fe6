import type { DuckDBConnection, DuckDBType } from '@duckdb/node-api';
import {
  type Api,
  bind,
  type DuckOptions,
  type Opened,
  openInstance,
  readRows,
  type SqlCell,
  SqlError,
  type SqlValue,
} from './duck.js';

/**
 * DuckDB for work that must not disturb: an instance with one thread, whose statements run step by
 * step in the calling thread. So they take no thread of libuv's pool, which reads and flushes
 * share, and whatever priority the calling thread has is theirs.
 */
export class SteppedDuck {
  private readonly opened: Opened;
  private readonly connection: DuckDBConnection;
  private readonly stopped: () => boolean;

  private constructor(opened: Opened, connection: DuckDBConnection, stopped: () => boolean) {
    this.opened = opened;
    this.connection = connection;
    this.stopped = stopped;
  }

  /** @param stopped asked between two steps: true ends the statement */
  static async open(
    options: Omit<DuckOptions, 'maxConcurrent' | 'threads'>,
    stopped: () => boolean,
  ): Promise<SteppedDuck> {
    const opened = await openInstance({ ...options, threads: 1 });
    return new SteppedDuck(opened, await opened.connect(), stopped);
  }

  /** Rows of one statement. Rejects with SqlError; `interrupted` if it was stopped. */
  async run(sql: string, values: readonly SqlValue[]): Promise<SqlCell[][]> {
    const { api } = this.opened;
    try {
      const statement = await this.connection.prepare(sql);
      try {
        statement.bind(
          values.map((value) => bind(api, value)),
          values.map((value) => typeOf(api, value)) as DuckDBType[],
        );
        const pending = statement.start();
        while (pending.runTask() !== api.DuckDBPendingResultState.RESULT_READY) {
          if (this.stopped()) throw new Error('INTERRUPT Error: stopped');
        }
        return await readRows(await pending.getResult());
      } finally {
        statement.destroySync();
      }
    } catch (error) {
      throw new SqlError(sql, error);
    }
  }

  close(): void {
    this.connection.closeSync();
    this.opened.close();
  }
}

function typeOf(api: Api, value: SqlValue): DuckDBType | undefined {
  return typeof value === 'number' ? api.DOUBLE : undefined;
}

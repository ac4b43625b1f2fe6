import type { Row } from './option.js';
import { SECTIONS } from './table.js';

/** One row of the table with all its names. */
export interface Option {
  readonly section: string;
  readonly key: string;
  /** `server.port` */
  readonly name: string;
  /** `MEMTRACE_SERVER_PORT` */
  readonly env: string;
  readonly row: Row;
}

/** Every option in the order of the table. */
export const OPTIONS: readonly Option[] = Object.entries(SECTIONS).flatMap(
  ([section, { options }]) =>
    Object.entries(options).map(([key, row]) => ({
      section,
      key,
      name: `${section}.${key}`,
      env: `MEMTRACE_${section}_${key}`.toUpperCase(),
      row,
    })),
);

/**
 * Keys of memtrace 0.2 (Go) that have no meaning here, with what to say about them. Its other keys
 * are options of the same name.
 */
export const LEGACY_KEYS: Readonly<Record<string, string>> = {
  'server.read_timeout': 'see server.request_timeout',
  'server.write_timeout': 'see query.timeout',
  'arc.write_batch_size': 'the write-ahead log groups writes by itself',
  'arc.write_flush_interval_ms': 'see buffer.max_age',
};

/** Environment variables that belong to memtrace without being options. */
export const OTHER_VARIABLES: Readonly<Record<string, string | null>> = {
  MEMTRACE_CONFIG: null,
  // Of the clients: they may share an environment with the server.
  MEMTRACE_URL: null,
  MEMTRACE_API_KEY: null,
  MEMTRACE_MASTER_KEY: 'keys of remote stores are not kept in the database here',
};

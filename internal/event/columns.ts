/** One column of the stored schema, the same in Parquet files, log lines and a remote store. */
export interface Column {
  name: string;
  /** Its type in a Parquet file, in DuckDB's words. Timestamps are UTC without a zone, in µs. */
  type: 'VARCHAR' | 'DOUBLE' | 'TIMESTAMP';
  /** Its type in a row line (event/json.ts): times are whole µs since 1970 there. */
  lineType: 'VARCHAR' | 'DOUBLE' | 'BIGINT';
}

/** Stored columns in their order. Strings are never null; only `expires_at` may be. */
export const COLUMNS: readonly Column[] = [
  time('time'),
  text('id'),
  text('org_id'),
  text('agent_id'),
  text('session_id'),
  text('memory_type'),
  text('event_type'),
  text('content'),
  text('metadata_json'),
  text('tags_csv'),
  text('dedup_key'),
  { name: 'importance', type: 'DOUBLE', lineType: 'DOUBLE' },
  text('parent_id'),
  time('ingested_at'),
  time('expires_at'),
];

function text(name: string): Column {
  return { name, type: 'VARCHAR', lineType: 'VARCHAR' };
}

function time(name: string): Column {
  return { name, type: 'TIMESTAMP', lineType: 'BIGINT' };
}

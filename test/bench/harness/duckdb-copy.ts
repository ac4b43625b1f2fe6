import { rmSync } from 'node:fs';
import { DuckDBInstance } from '@duckdb/node-api';

// usage: duckdb-copy.ts <events.ndjson>; prints the seconds that DuckDB takes to make Parquet of it
const source = process.argv[2] ?? '';
const target = `${source}.parquet`;
const columns = [
  "agent_id: 'VARCHAR', session_id: 'VARCHAR', memory_type: 'VARCHAR', event_type: 'VARCHAR'",
  "content: 'VARCHAR', metadata: 'JSON', tags: 'VARCHAR[]', importance: 'DOUBLE'",
].join(', ');
const instance = await DuckDBInstance.create(':memory:');
const connection = await instance.connect();
await connection.run('SELECT 1');
const startedAt = performance.now();
await connection.run(
  `COPY (SELECT * FROM read_json('${source}', format = 'newline_delimited',
     columns = {${columns}})) TO '${target}' (FORMAT parquet, COMPRESSION zstd)`,
);
console.log(((performance.now() - startedAt) / 1_000).toFixed(4));
rmSync(target);

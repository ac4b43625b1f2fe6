import { mkdir, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { COLUMNS, type Column } from '../event/columns.js';
import { Fault } from '../fault/fault.js';
import { rowLinesSource } from '../store/parquet/copy.js';
import { Duck, quotePath, quoteText, type Run } from '../store/parquet/duck.js';

/**
 * Row lines to a Parquet file of the stored schema and back, in a DuckDB of its own: an export is
 * made where the command runs, by the files that its user may reach.
 */
export interface ConvertOrder {
  from: string;
  to: string;
  /** Of `from`, if it holds row lines: no line has more bytes. */
  longestLine: number;
}

const MEMORY_BYTES = 256 * 2 ** 20;
const ROW_GROUP_ROWS = 8192;

/** Writes row lines as one zstd Parquet file, in their order. */
export function toParquet(order: ConvertOrder): Promise<void> {
  return converted(order, async (run, { from, to }) => {
    await run(
      `COPY (${rowLinesSource(from, order.longestLine)}) TO ${quoteText(to)} ` +
        `(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${ROW_GROUP_ROWS})`,
    );
  });
}

/** A Parquet file as row lines. Rejects with `invalid_field` if it has not the stored columns. */
export function fromParquet(order: ConvertOrder): Promise<void> {
  return converted(order, async (run, { from, to }) => {
    const source = `read_parquet(${quotePath(from)})`;
    const found = await run(`SELECT column_name FROM (DESCRIBE SELECT * FROM ${source})`);
    requireColumns(found.map(([name]) => String(name)));
    await run(
      `COPY (SELECT ${COLUMNS.map(lineColumn).join(', ')} FROM ${source}) ` +
        `TO ${quoteText(to)} (FORMAT json)`,
    );
  });
}

function lineColumn({ name, type }: Column): string {
  if (type === 'TIMESTAMP') return `epoch_us("${name}"::TIMESTAMPTZ) AS "${name}"`;
  return `"${name}"::${type} AS "${name}"`;
}

function requireColumns(found: readonly string[]): void {
  const wanted = COLUMNS.map(({ name }) => name);
  const missing = wanted.find((name) => !found.includes(name));
  const foreign = found.find((name) => !wanted.includes(name));
  if (missing !== undefined) {
    throw new Fault('invalid_field', `the file has no column "${missing}"`, { field: missing });
  }
  if (foreign !== undefined) {
    const message = `the file has a column that no memory has: "${foreign}"`;
    throw new Fault('invalid_field', message, { field: foreign });
  }
}

async function converted(
  { from, to }: ConvertOrder,
  convert: (run: Run, paths: { from: string; to: string }) => Promise<void>,
): Promise<void> {
  const source = await realpath(from);
  const folder = await realpath(dirname(to));
  const spillDirectory = join(folder, `${basename(to)}.spill`);
  await mkdir(spillDirectory);
  const duck = new Duck({
    memoryLimitBytes: MEMORY_BYTES,
    threads: 1,
    maxConcurrent: 1,
    directories: [dirname(source), folder],
    spillDirectory,
  });
  try {
    const paths = { from: source, to: join(folder, basename(to)) };
    await duck.session((run) => convert(run, paths));
  } finally {
    await duck.close();
    await rm(spillDirectory, { recursive: true, force: true });
  }
}

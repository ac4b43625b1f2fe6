import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { decompress } from 'fzstd';
import parquet, {
  type ParquetEnvelopeReader,
  type ParquetReader,
  type RowGroup,
} from 'parquetjs-lite';
import compression from 'parquetjs-lite/lib/compression.js';
import { COLUMNS } from '../../event/columns.js';
import { NOTE_KEY } from './note.js';

/**
 * The second reader: looks at a Parquet file with an implementation of the format that is not the
 * one that wrote it. It blocks its thread, so it runs in a worker (inspect.worker.ts).
 */

/** `checksum`: the bytes only. `footer`: and what the footer says. `deep`: and every value. */
export type Depth = 'checksum' | 'footer' | 'deep';

export interface Inspection {
  bytes: number;
  /** SHA-256 of the file, hex. */
  checksum: string;
  /** Absent for `checksum`. */
  content?: FileContent;
}

export interface FileContent {
  rows: number;
  /** Of the statistics, or for `deep` of the values themselves; 0 if there is no row. */
  minTimeUs: number;
  maxTimeUs: number;
  minExpiresUs: number | null;
  /** What flush.ts noted in the file, or ''. */
  note: string;
}

/**
 * Throws the error of the system (with its `code`), or a `DamagedFile` if the bytes are not a
 * Parquet file of the stored schema that can be read from end to end.
 * @param bytesPerSecond how fast the bytes are read at most
 */
export async function inspectFile(
  path: string,
  depth: Depth,
  bytesPerSecond = Number.POSITIVE_INFINITY,
): Promise<Inspection> {
  const file = openSync(path, 'r');
  try {
    const bytes = fstatSync(file).size;
    const checksum = hashFile(file, bytes, bytesPerSecond);
    if (depth === 'checksum') return { bytes, checksum };
    return { bytes, checksum, content: await readContent(file, bytes, depth) };
  } finally {
    closeSync(file);
  }
}

/** The bytes are not what a Parquet file of ours is made of. */
export class DamagedFile extends Error {
  override name = 'DamagedFile';
  readonly code = 'DAMAGED';
}

const SLICE_BYTES = 1 << 20;

function hashFile(file: number, bytes: number, bytesPerSecond: number): string {
  const hash = createHash('sha256');
  const slice = Buffer.allocUnsafe(Math.min(SLICE_BYTES, Math.max(1, bytes)));
  for (let at = 0; at < bytes; ) {
    const read = readSync(file, slice, 0, slice.length, at);
    if (read === 0) break;
    hash.update(slice.subarray(0, read));
    at += read;
    rest((read / bytesPerSecond) * 1000);
  }
  return hash.digest('hex');
}

/** Blocks the thread: it has nothing else to do. */
function rest(ms: number): void {
  if (ms > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

// The library knows zstd's name but brings no codec for it.
compression.PARQUET_COMPRESSION_METHODS['ZSTD'] = {
  inflate: (bytes) => Buffer.from(decompress(bytes)),
};

/** Statistics stay bytes: as dates they would lose their microseconds. */
const OPTIONS = {
  rawStatistics: true,
  // DuckDB's dictionaries end at 1 MiB; the default reads 10 MB for each of them.
  default_dictionary_size: 2 << 20,
};

async function readContent(file: number, bytes: number, depth: Depth): Promise<FileContent> {
  const envelope = new parquet.ParquetEnvelopeReader(
    async (offset, length) => readAt(file, offset, length),
    () => undefined,
    bytes,
    OPTIONS,
  );
  try {
    const reader = await parquet.ParquetReader.openEnvelopeReader(envelope, OPTIONS);
    const ranges: GroupRange[] = [];
    for (const group of reader.metadata.row_groups) {
      checkColumns(group);
      const whole = depth === 'deep';
      ranges.push(whole ? await rangeOfValues(reader, envelope, group) : rangeOfFooter(group));
    }
    const note = reader.metadata.key_value_metadata?.find(({ key }) => key === NOTE_KEY)?.value;
    return summarize(ranges, Number(reader.getRowCount()), note ?? '');
  } catch (error) {
    // The library throws strings, range errors, type errors, whatever a wrong byte leads to.
    if (error instanceof Error && 'code' in error && isOfSystem(error.code)) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new DamagedFile(`not readable as Parquet: ${why}`);
  }
}

/** `ERR_OUT_OF_RANGE` and its like come of wrong bytes; `EIO` and its like come of the system. */
function isOfSystem(code: unknown): boolean {
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code);
}

function readAt(file: number, offset: number, length: number): Uint8Array {
  if (!(length >= 0 && length <= 1 << 30)) throw new DamagedFile(`a part of ${length} bytes`);
  const buffer = Buffer.alloc(length);
  const read = readSync(file, buffer, 0, length, offset);
  if (read !== length) throw new DamagedFile('the file ends too early');
  return buffer;
}

interface GroupRange {
  rows: number;
  time: Range;
  expires: Range | null;
}

interface Range {
  min: number;
  max: number;
}

function checkColumns(group: RowGroup): void {
  const names = group.columns.map((column) => column.meta_data.path_in_schema.join('.'));
  const wanted = COLUMNS.map((column) => column.name);
  if (names.join() !== wanted.join()) throw new DamagedFile(`columns ${names.join(', ')}`);
}

function columnOf(group: RowGroup, name: string) {
  const column = group.columns[COLUMNS.findIndex((each) => each.name === name)];
  if (column === undefined) throw new DamagedFile(`no column ${name}`);
  return column;
}

function rangeOfFooter(group: RowGroup): GroupRange {
  const time = statisticsOf(group, 'time');
  if (time === null) throw new DamagedFile('a row group without statistics of time');
  return { rows: Number(group.num_rows), time, expires: statisticsOf(group, 'expires_at') };
}

function statisticsOf(group: RowGroup, name: string): Range | null {
  const statistics = columnOf(group, name).meta_data.statistics;
  const min = int64(statistics?.min_value);
  const max = int64(statistics?.max_value);
  return min === null || max === null ? null : { min, max };
}

/** Microseconds are exact in a double up to 2^53. */
function int64(value: Uint8Array | string | null | undefined): number | null {
  const bytes = Buffer.from(value ?? []);
  return bytes.length === 8 ? Number(bytes.readBigInt64LE(0)) : null;
}

async function rangeOfValues(
  reader: ParquetReader,
  envelope: ParquetEnvelopeReader,
  group: RowGroup,
): Promise<GroupRange> {
  const rows = Number(group.num_rows);
  const ranges = new Map<string, Range | null>();
  for (const column of group.columns) {
    const name = column.meta_data.path_in_schema.join('.');
    const { count, values } = await envelope.readColumnChunk(reader.getSchema(), column, OPTIONS);
    const missing = name === 'expires_at' ? 0 : count - values.length;
    if (count !== rows || missing !== 0) throw new DamagedFile(`${count} values of ${name}`);
    if (name === 'time' || name === 'expires_at') ranges.set(name, rangeOf(values));
  }
  const time = ranges.get('time') ?? { min: 0, max: 0 };
  return { rows, time, expires: ranges.get('expires_at') ?? null };
}

function rangeOf(values: readonly unknown[]): Range | null {
  let range: Range | null = null;
  for (const value of values) {
    const number = Number(value);
    if (Number.isNaN(number)) throw new DamagedFile('a time that is no number');
    if (range === null) range = { min: number, max: number };
    else if (number < range.min) range.min = number;
    else if (number > range.max) range.max = number;
  }
  return range;
}

function summarize(groups: readonly GroupRange[], rows: number, note: string): FileContent {
  const sum = groups.reduce((total, group) => total + group.rows, 0);
  if (sum !== rows) throw new DamagedFile(`${rows} rows in the footer, ${sum} in the row groups`);
  const expiring = groups.flatMap(({ expires }) => (expires === null ? [] : [expires.min]));
  return {
    rows,
    minTimeUs: rows === 0 ? 0 : Math.min(...groups.map(({ time }) => time.min)),
    maxTimeUs: rows === 0 ? 0 : Math.max(...groups.map(({ time }) => time.max)),
    minExpiresUs: expiring.length === 0 ? null : Math.min(...expiring),
    note,
  };
}

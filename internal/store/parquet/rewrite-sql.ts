import { COLUMNS } from '../../event/columns.js';
import type { Partition, RowsGone } from '../../metadata/metadata.js';
import { SORT_ORDER } from './copy.js';
import { quotePath, quoteText, type SqlCell } from './duck.js';
import { type Leaving, leavingRows } from './leaving.js';
import { NOTE_KEY } from './note.js';
import { Parameters, type PathOf, type Statement } from './sql.js';

/** The statements of a rewrite. Pure. */

const NAMES = COLUMNS.map(({ name }) => name);
const TEXTS = COLUMNS.filter(({ type }) => type === 'VARCHAR').map(({ name }) => name);
/** A row's memory besides its texts. */
const ROW_BYTES = 100;

/** What the rows that stay are, however they are ordered and in how many files. */
export interface Weight {
  /** All rows, also those that leave. */
  rows: number;
  kept: number;
  minTimeUs: number | null;
  maxTimeUs: number | null;
  minExpiresUs: number | null;
  /** In memory, without compression. */
  bytes: number;
  /** XOR over the hashes of the rows: equal for equal rows in any order. */
  digest: bigint;
}

/** One row, as `weightOf` reads it. `leaving` null: every row stays. */
export function selectWeight(path: string, file?: Partition, leaving?: Leaving): Statement {
  const parameters = new Parameters();
  const leaves = file && leaving ? leavingRows(file, leaving, parameters) : null;
  const stays = leaves === null ? 'true' : `NOT ${leaves}`;
  const bytes = TEXTS.map((name) => `strlen(${name})`).join(' + ');
  return {
    sql:
      'SELECT count(*)::DOUBLE, (count(*) FILTER (WHERE stays))::DOUBLE, ' +
      'epoch_us(min(time) FILTER (WHERE stays))::DOUBLE, ' +
      'epoch_us(max(time) FILTER (WHERE stays))::DOUBLE, ' +
      'epoch_us(min(expires_at) FILTER (WHERE stays))::DOUBLE, ' +
      `(sum(${bytes} + ${ROW_BYTES}) FILTER (WHERE stays))::DOUBLE, ` +
      `(bit_xor(hash(${NAMES.join(', ')})) FILTER (WHERE stays))::VARCHAR ` +
      `FROM (SELECT *, ${stays} AS stays FROM read_parquet(${quotePath(path)}))`,
    values: parameters.values,
  };
}

export function weightOf(row: readonly SqlCell[]): Weight {
  const [rows, kept, minTimeUs, maxTimeUs, minExpiresUs, bytes, digest] = row;
  const orNull = (cell: SqlCell | undefined) => (cell == null ? null : Number(cell));
  return {
    rows: Number(rows),
    kept: Number(kept),
    minTimeUs: orNull(minTimeUs),
    maxTimeUs: orNull(maxTimeUs),
    minExpiresUs: orNull(minExpiresUs),
    bytes: Number(bytes ?? 0),
    digest: BigInt(digest ?? 0),
  };
}

/** The weight of all together. */
export function addWeights(weights: readonly Weight[]): Weight {
  const pick = (values: (number | null)[], best: (...of: number[]) => number) => {
    const known = values.filter((value) => value !== null);
    return known.length === 0 ? null : best(...known);
  };
  return {
    rows: weights.reduce((sum, { rows }) => sum + rows, 0),
    kept: weights.reduce((sum, { kept }) => sum + kept, 0),
    minTimeUs: pick(
      weights.map(({ minTimeUs }) => minTimeUs),
      Math.min,
    ),
    maxTimeUs: pick(
      weights.map(({ maxTimeUs }) => maxTimeUs),
      Math.max,
    ),
    minExpiresUs: pick(
      weights.map(({ minExpiresUs }) => minExpiresUs),
      Math.min,
    ),
    bytes: weights.reduce((sum, { bytes }) => sum + bytes, 0),
    digest: weights.reduce((xor, { digest }) => xor ^ digest, 0n),
  };
}

/** By organization, the newest ingestion of a row that leaves; null if surely none does. */
export function selectGone(path: string, file: Partition, leaving: Leaving): Statement | null {
  const parameters = new Parameters();
  const leaves = leavingRows(file, leaving, parameters);
  if (leaves === null) return null;
  return {
    sql:
      'SELECT org_id, epoch_us(max(ingested_at))::DOUBLE ' +
      `FROM read_parquet(${quotePath(path)}) WHERE ${leaves} GROUP BY 1`,
    values: parameters.values,
  };
}

export function goneOf([orgId, newestUs]: readonly SqlCell[]): RowsGone {
  return { orgId: String(orgId), newestUs: Number(newestUs) };
}

export interface CopyTarget {
  path: string;
  /** What the file says of itself; see sweep.ts. */
  note: string;
  rowGroupRows: number;
}

/** Writes the rows of the inputs that stay as one file, sorted as a flush sorts. */
export function copyKept(
  inputs: readonly Partition[],
  leaving: Leaving,
  pathOf: PathOf,
  target: CopyTarget,
): Statement {
  const parameters = new Parameters();
  const whole: string[] = [];
  const selects: string[] = [];
  for (const file of inputs) {
    const leaves = leavingRows(file, leaving, parameters);
    const path = quotePath(pathOf(file.key));
    if (leaves === null) whole.push(path);
    else selects.push(`SELECT * FROM read_parquet(${path}) WHERE NOT ${leaves}`);
  }
  if (whole.length > 0) selects.unshift(`SELECT * FROM read_parquet([${whole.join(', ')}])`);
  return {
    sql:
      `COPY (SELECT * FROM (${selects.join(' UNION ALL ')}) ` +
      `ORDER BY ${SORT_ORDER}) TO ${quoteText(target.path)} ` +
      `(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${target.rowGroupRows}, ` +
      `KV_METADATA {${NOTE_KEY}: ${quoteText(target.note)}})`,
    values: parameters.values,
  };
}

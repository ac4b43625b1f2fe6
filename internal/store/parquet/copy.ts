import { US_PER_DAY } from '../../base/clock.js';
import { COLUMNS, type Column } from '../../event/columns.js';
import type { Span } from '../../metadata/metadata.js';
import { quotePath, quoteText, type SqlCell } from './duck.js';
import { NOTE_KEY } from './note.js';

/** The statements of a flush. All values in them are numbers and generated names. */

/** Small enough that a read touches few rows besides its own; smaller ones gain nothing. */
const ROW_GROUP_ROWS = 8192;
/** What DuckDB's JSON reader may take for one line at least; it allocates twice that a thread. */
const MIN_LINE_BUFFER = 1 << 20;

/**
 * How the rows of every file stand: those of an agent together, and in them those of a session, so
 * that a read of either touches few row groups. (With the session first, an agent's rows would be
 * everywhere: ten times slower in a file of 800,000 rows; the other way round a session costs the
 * same, as the catalog knows its agent.)
 */
export const SORT_ORDER = 'org_id, agent_id, session_id, time, id';

/** Row lines as rows of the stored types. Timestamps are UTC instants (isAdjustedToUTC). */
export function rowLinesSource(path: string, longestLine: number): string {
  const columns = COLUMNS.map((column) => `"${column.name}": '${column.lineType}'`).join(', ');
  const maximum = Math.max(MIN_LINE_BUFFER, longestLine + 1);
  return (
    `SELECT ${COLUMNS.map(storedColumn).join(', ')} FROM read_json(${quotePath(path)}, ` +
    `format = 'newline_delimited', auto_detect = false, maximum_object_size = ${maximum}, ` +
    `columns = {${columns}}) line`
  );
}

function storedColumn({ name, type }: Column): string {
  const column = `line."${name}"`;
  return type === 'TIMESTAMP' ? `make_timestamp(${column})::TIMESTAMPTZ AS "${name}"` : column;
}

/**
 * Writes one day's rows of `source` (a SELECT), sorted, as one file. At level 1 zstd takes a tenth
 * of the flush less than at its usual 3, and so short texts come out no larger; a merge writes them
 * anew at that.
 */
export function copyDay(source: string, day: number | null, path: string, note: string): string {
  const where = day === null ? '' : ` WHERE time >= ${instant(day)} AND time < ${instant(day + 1)}`;
  return (
    `COPY (SELECT * FROM (${source})${where} ORDER BY ${SORT_ORDER}) ` +
    `TO ${quoteText(path)} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ` +
    `ROW_GROUP_SIZE ${ROW_GROUP_ROWS}, ` +
    `KV_METADATA {${NOTE_KEY}: ${quoteText(note)}})`
  );
}

function instant(day: number): string {
  return `make_timestamp(${day * US_PER_DAY})::TIMESTAMPTZ`;
}

/** One row per (organization, agent, session) of the file, as `spanOfRow` reads it. */
export function selectSpans(path: string): string {
  const counted = ["memory_type = 'decision'", "memory_type = 'entity'", "memory_type = 'session'"];
  const counts = [...counted, "event_type = 'error'"]
    .map((condition) => `(count(*) FILTER (WHERE ${condition}))::DOUBLE`)
    .join(', ');
  return (
    'SELECT org_id, agent_id, session_id, epoch_us(min(time))::DOUBLE, ' +
    `epoch_us(max(time))::DOUBLE, count(*)::DOUBLE, ${counts}, ` +
    `epoch_us(min(expires_at))::DOUBLE FROM read_parquet(${quotePath(path)}) GROUP BY 1, 2, 3`
  );
}

export function spanOfRow(row: readonly SqlCell[]): Span {
  const [orgId, agentId, sessionId, firstUs, lastUs, rows, decisions, entities, sessions, errors] =
    row;
  const minExpiresUs = row[10];
  return {
    orgId: String(orgId),
    agentId: String(agentId),
    sessionId: String(sessionId),
    firstUs: Number(firstUs),
    lastUs: Number(lastUs),
    rows: Number(rows),
    decisions: Number(decisions),
    entities: Number(entities),
    sessions: Number(sessions),
    errors: Number(errors),
    minExpiresUs: minExpiresUs === null ? null : Number(minExpiresUs),
  };
}

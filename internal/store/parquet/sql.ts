import { assert } from '../../base/assert.js';
import { COLUMNS, type Column } from '../../event/columns.js';
import type { EventFilter, Place } from '../../event/event.js';
import type { StoredRow } from '../../event/json.js';
import type { TimeRange } from './deletions.js';
import { type Micros, quotePath, type SqlCell, type SqlValue } from './duck.js';
import type { Branch, Wanted, WantedPage } from './plan.js';
import { rangeOf } from './plan.js';

/**
 * Statements over an explicit list of files. Pure. Users' texts are bound, never pasted, and never
 * patterns: `contains` takes them literally and in linear time.
 */
export interface Statement {
  sql: string;
  values: SqlValue[];
}

/** Collects bound values; equal ones share a parameter. */
export class Parameters {
  readonly values: SqlValue[] = [];
  private readonly known = new Map<string, string>();

  add(value: SqlValue): string {
    const key = JSON.stringify(value);
    const old = this.known.get(key);
    if (old !== undefined) return old;
    const name = `$${this.values.push(value)}`;
    this.known.set(key, name);
    return name;
  }

  time(us: number): string {
    return this.add({ us } satisfies Micros);
  }
}

export type PathOf = (key: string) => string;

/** Rows of a page, as `rowReader` reads them; sorted, at most `limit`. */
export function selectPage(
  branches: readonly Branch[],
  wanted: WantedPage,
  pathOf: PathOf,
): Statement {
  assert(Number.isSafeInteger(wanted.limit) && wanted.limit > 0, `a limit of ${wanted.limit}`);
  const parameters = new Parameters();
  const asked = COLUMNS.filter(({ name }) => isAsked(name, wanted));
  const columns = asked.map(({ name }) => name).join(', ');
  const inner = unionOf(branches, wanted, { columns, parameters, pathOf });
  const cells = asked.map(cellOf);
  const direction = wanted.order === 'desc' ? 'DESC' : 'ASC';
  return {
    // The restored texts are made of the page's rows only.
    sql:
      `SELECT ${cells.join(', ')} FROM (${inner} ` +
      `ORDER BY time ${direction}, id ${direction} LIMIT ${wanted.limit})`,
    values: parameters.values,
  };
}

/** One row per memory type: type, rows, errors, newest time. */
export function selectStats(
  branches: readonly Branch[],
  wanted: Wanted,
  pathOf: PathOf,
): Statement {
  const parameters = new Parameters();
  const columns = 'memory_type, event_type, time';
  const inner = unionOf(branches, wanted, { columns, parameters, pathOf });
  return {
    sql:
      'SELECT memory_type, count(*)::DOUBLE, ' +
      "(count(*) FILTER (WHERE event_type = 'error'))::DOUBLE, epoch_us(max(time))::DOUBLE " +
      `FROM (${inner}) GROUP BY 1`,
    values: parameters.values,
  };
}

/** Texts that may begin with U+FEFF: the driver's decoder takes the first one away. */
const FREE_TEXTS = new Set(['content', 'metadata_json', 'dedup_key', 'parent_id']);

/** The columns that a session context shows. */
const CONTEXT_COLUMNS = new Set([
  'time',
  'id',
  'memory_type',
  'event_type',
  'content',
  'metadata_json',
  'importance',
]);

function isAsked(name: string, wanted: WantedPage): boolean {
  if (wanted.fields === 'context') return CONTEXT_COLUMNS.has(name);
  return !(name in knownOf(wanted));
}

/** What every row of the page has, as the query asks for it: neither read nor decoded. */
function knownOf({ orgId, filter }: WantedPage): Partial<StoredRow> {
  const { sessionId, agentIds } = filter;
  return {
    org_id: orgId,
    ...(sessionId === undefined ? {} : { session_id: sessionId }),
    ...(agentIds?.length === 1 ? { agent_id: agentIds[0] } : {}),
  };
}

function cellOf({ name, type }: Column): string {
  if (type === 'TIMESTAMP') return `epoch_us(${name})::DOUBLE`;
  if (!FREE_TEXTS.has(name)) return name;
  return `CASE WHEN starts_with(${name}, chr(65279)) THEN chr(65279) || ${name} ELSE ${name} END`;
}

/** Reads the rows of `selectPage` for the same query. */
export function rowReader(wanted: WantedPage): (cells: readonly SqlCell[]) => StoredRow {
  const asked = COLUMNS.filter(({ name }) => isAsked(name, wanted)).map(({ name }) => name);
  const rest = { ...NOTHING_ASKED, ...(wanted.fields === 'context' ? {} : knownOf(wanted)) };
  return (cells) => {
    const row: Record<string, SqlCell> = { ...rest };
    for (let i = 0; i < asked.length; i++) row[asked[i]] = cells[i];
    return row as unknown as StoredRow;
  };
}

const NOTHING_ASKED = {
  ...Object.fromEntries(COLUMNS.map(({ name, type }) => [name, type === 'VARCHAR' ? '' : 0])),
  expires_at: null,
};

interface Union {
  columns: string;
  parameters: Parameters;
  pathOf: PathOf;
}

function unionOf(
  branches: readonly Branch[],
  wanted: Wanted & Partial<WantedPage>,
  { columns, parameters, pathOf }: Union,
): string {
  const range = rangeOf(wanted);
  const common = [
    `org_id = ${parameters.add(wanted.orgId)}`,
    ...rangeConditions(range, parameters),
    ...filterConditions(wanted.filter, parameters),
    ...afterConditions(wanted, parameters),
  ];
  const selects = branches.map((branch) => {
    const paths = branch.files.map(({ key }) => quotePath(pathOf(key))).join(', ');
    const where = [...common, ...branchConditions(branch, wanted, parameters)].join(' AND ');
    return `SELECT ${columns} FROM read_parquet([${paths}]) WHERE ${where}`;
  });
  return selects.join(' UNION ALL ');
}

function branchConditions(branch: Branch, wanted: Wanted, parameters: Parameters): string[] {
  const { ids, sessions, filters } = branch.erased;
  const conditions: string[] = [];
  if (branch.agentId !== undefined) {
    conditions.push(`agent_id = ${parameters.add(branch.agentId)}`);
  }
  if (branch.expiring) {
    const now = parameters.time(wanted.visibility.nowUs);
    conditions.push(`(expires_at IS NULL OR expires_at > ${now})`);
  }
  if (ids.length > 0) conditions.push(notOneOf('id', ids, parameters));
  if (sessions.length > 0) conditions.push(notOneOf('session_id', sessions, parameters));
  for (const filter of filters) {
    const deleted = allOf(filter, parameters);
    // Columns are never null, so NOT needs no third value.
    conditions.push(deleted === '' ? 'false' : `NOT (${deleted})`);
  }
  return conditions;
}

/** A filter as one condition, its window included; '' if it selects everything. */
export function allOf(filter: EventFilter, parameters: Parameters): string {
  const { sinceUs, untilUs } = filter;
  const window = [
    ...(sinceUs === undefined ? [] : [`time >= ${parameters.time(sinceUs)}`]),
    ...(untilUs === undefined ? [] : [`time < ${parameters.time(untilUs)}`]),
  ];
  return [...window, ...filterConditions(filter, parameters)].join(' AND ');
}

function rangeConditions({ sinceUs, untilUs }: TimeRange, parameters: Parameters): string[] {
  return [
    ...(sinceUs > 0 ? [`time >= ${parameters.time(sinceUs)}`] : []),
    ...(untilUs < Number.MAX_SAFE_INTEGER ? [`time < ${parameters.time(untilUs)}`] : []),
  ];
}

/** The filter without its window. The meaning of each member is that of event/filter.ts. */
function filterConditions(filter: EventFilter, parameters: Parameters): string[] {
  const { sessionId, parentId, minImportance, contentContains } = filter;
  const conditions = [
    ...oneOf('id', filter.ids, parameters),
    ...oneOf('agent_id', filter.agentIds, parameters),
    ...oneOf('memory_type', filter.memoryTypes, parameters),
    ...oneOf('event_type', filter.eventTypes, parameters),
  ];
  if (sessionId !== undefined) conditions.push(`session_id = ${parameters.add(sessionId)}`);
  if (parentId !== undefined) conditions.push(`parent_id = ${parameters.add(parentId)}`);
  if (minImportance !== undefined)
    conditions.push(`importance >= ${parameters.add(minImportance)}`);
  for (const tag of filter.tags ?? []) {
    conditions.push(`list_contains(string_split(tags_csv, ','), ${parameters.add(tag)})`);
  }
  if (contentContains !== undefined) {
    conditions.push(`contains(${FOLDED_CONTENT}, ${parameters.add(contentContains)})`);
  }
  return conditions;
}

/** Equal to event/fold.ts for every text; fold.test.ts holds both together. */
export const FOLDED_CONTENT = "replace(lower(content), 'ς', 'σ')";

/** Longer lists are one bound text, made a hash table once, instead of a parameter each. */
const MAX_PARAMETERS = 64;

function listOf(values: readonly string[], parameters: Parameters): string {
  const joined = values.join('\n');
  const long = values.length > MAX_PARAMETERS && joined.split('\n').length === values.length;
  if (long) return `(SELECT unnest(string_split(${parameters.add(joined)}, chr(10))))`;
  return `(${values.map((value) => parameters.add(value)).join(', ')})`;
}

/** An empty list selects nothing: it must never widen a result. */
export function oneOf(
  column: string,
  values: readonly string[] | undefined,
  parameters: Parameters,
): string[] {
  if (values === undefined) return [];
  if (values.length === 0) return ['false'];
  return [`${column} IN ${listOf(values, parameters)}`];
}

function notOneOf(column: string, values: readonly string[], parameters: Parameters): string {
  return `${column} NOT IN ${listOf(values, parameters)}`;
}

function afterConditions(
  { after, order }: { after?: Place; order?: string },
  parameters: Parameters,
): string[] {
  if (after === undefined) return [];
  const time = parameters.time(after.timeUs);
  const id = parameters.add(after.id);
  const past = order === 'asc' ? '>' : '<';
  return [`(time ${past} ${time} OR (time = ${time} AND id ${past} ${id}))`];
}

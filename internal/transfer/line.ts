import { formatUs } from '../base/clock.js';
import { decodeMs } from '../base/ulid.js';
import { type DecodeContext, decodeMemory, withId } from '../event/decode.js';
import type { Event } from '../event/event.js';
import { broken } from '../event/fields.js';
import { memoryJson, type StoredRow } from '../event/json.js';
import { FUTURE_MAX_US } from '../event/rules.js';
import { onlyNames } from '../event/select.js';
import { asObject } from '../event/text.js';
import { parseTime } from '../event/window.js';
import { Fault } from '../fault/fault.js';

/**
 * One memory as a line of an export: the memory of the wire contract without its organization,
 * which whoever imports it names. So what was imported elsewhere exports to the same bytes.
 */
export function portableLine(event: Event): string {
  const head = `{"id":"${event.id}"`;
  const dropped = `${head},"org_id":"${event.orgId}"`;
  return head + memoryJson(event).slice(dropped.length);
}

/** What a line of an import says. */
export interface Imported {
  event: Event;
  /** Its expiry has passed: it is not stored. */
  expired: boolean;
}

/** On what reading a line depends besides it. */
export type LineContext = Pick<DecodeContext, 'orgId' | 'nowUs' | 'limits'>;

const NAMES: readonly string[] = [
  'id',
  'org_id',
  'agent_id',
  'session_id',
  'memory_type',
  'event_type',
  'content',
  'metadata',
  'tags',
  'importance',
  'dedup_key',
  'parent_id',
  'time',
  'ingested_at',
  'expires_at',
];

/**
 * The event of a line by all rules of a write, with the id and the times that it names. Members
 * that an export does not have are refused, as they would be lost in silence. `org_id` is ignored.
 *
 * @throws Fault invalid_field naming the field
 */
export function decodeLine(raw: unknown, context: LineContext): Imported {
  const input = asObject(raw, '');
  onlyNames(Object.keys(input), NAMES, 'field');
  const { id, ingestedUs } = identityOf(input, context.nowUs);
  const expiresUs = present(input.expires_at) ? parseTime(input.expires_at, 'expires_at') : null;
  const expired = expiresUs !== null && expiresUs <= context.nowUs;
  const checked = expired ? { ...input, expires_at: null } : input;
  // The key is the one of the row: none is computed for a row that had none.
  const dedup = { enabled: false, contentBytes: 0 };
  const draft = decodeMemory(checked, { ...context, floorUs: null, dedup });
  return { event: withId({ ...draft, ingestedUs, expiresUs }, id), expired };
}

function identityOf(
  input: Record<string, unknown>,
  nowUs: number,
): { id: string; ingestedUs: number } {
  const { id } = input;
  const ms = typeof id === 'string' && id.startsWith('mem_') ? decodeMs(id.slice(4)) : null;
  if (typeof id !== 'string' || ms === null) {
    throw broken('', 'id', 'must be the id of a memory: "mem_" and a ULID');
  }
  if (!present(input.time)) throw broken('', 'time', 'is required');
  if (Math.floor(parseTime(input.time, 'time') / 1000) !== ms) {
    throw broken('', 'id', 'must carry the milliseconds of time');
  }
  if (!present(input.ingested_at)) throw broken('', 'ingested_at', 'is required');
  const ingestedUs = parseTime(input.ingested_at, 'ingested_at');
  if (ingestedUs > nowUs + FUTURE_MAX_US) {
    throw broken('', 'ingested_at', 'must not be more than 5 minutes in the future');
  }
  return { id, ingestedUs };
}

/** A row of the stored schema as the memory of the wire contract that it is. */
export function wireOfRow(row: Partial<StoredRow>): Record<string, unknown> {
  const { metadata_json: metadataJson, tags_csv: tagsCsv } = row;
  return {
    id: row.id,
    agent_id: row.agent_id,
    session_id: row.session_id,
    memory_type: row.memory_type,
    event_type: row.event_type,
    content: row.content,
    metadata: metadataJson ? metadataOf(metadataJson) : null,
    tags: tagsCsv ? tagsCsv.split(',') : null,
    importance: row.importance,
    dedup_key: row.dedup_key,
    parent_id: row.parent_id,
    time: timeOf(row.time),
    ingested_at: timeOf(row.ingested_at),
    expires_at: timeOf(row.expires_at),
  };
}

function metadataOf(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    const details = { field: 'metadata_json', cause };
    throw new Fault('invalid_field', 'metadata_json must be a JSON object.', details);
  }
}

/** Null for none; what is no moment of the calendar becomes a text that no rule takes. */
function timeOf(us: number | null | undefined): string | null {
  if (us === null || us === undefined) return null;
  return Math.abs(us) < 8.64e18 ? formatUs(us) : String(us);
}

function present(value: unknown): boolean {
  return value !== undefined && value !== null;
}

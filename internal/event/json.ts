import { formatUs } from '../base/clock.js';
import type { Event, MemoryType } from './event.js';

/** A JSON text around its content, which is what is long and not ASCII; `head` always is. */
interface Pieces {
  head: string;
  tail: string;
}

/**
 * The memory as an answer carries it. Empty optional members are left out; importance never is.
 *
 * @param content JSON.stringify(event.content), if the caller has it already
 */
export function memoryJson(event: Event, content = JSON.stringify(event.content)): string {
  const { head, tail } = memoryPieces(event);
  return head + content + tail;
}

/** Ids, types and tags were checked against patterns without a character that JSON escapes. */
export function memoryPieces(event: Event): Pieces {
  let head = `{"id":"${event.id}","org_id":"${event.orgId}","agent_id":"${event.agentId}"`;
  if (event.sessionId !== '') head += `,"session_id":"${event.sessionId}"`;
  head += `,"memory_type":"${event.memoryType}","event_type":"${event.eventType}","content":`;
  let tail = event.metadataJson === '' ? '' : `,"metadata":${event.metadataJson}`;
  if (event.tagsCsv !== '') tail += `,"tags":["${event.tagsCsv.replaceAll(',', '","')}"]`;
  tail += `,"importance":${event.importance}`;
  if (event.dedupKey !== '') tail += `,"dedup_key":${quote(event.dedupKey)}`;
  if (event.parentId !== '') tail += `,"parent_id":${quote(event.parentId)}`;
  tail += `,"time":"${formatUs(event.timeUs)}","ingested_at":"${formatUs(event.ingestedUs)}"`;
  if (event.expiresUs !== null) tail += `,"expires_at":"${formatUs(event.expiresUs)}"`;
  return { head, tail: `${tail}}` };
}

/**
 * The event as one line without its line feed, by stored column names, times in whole µs: what the
 * log keeps and what a store reads in bulk. JSON.stringify leaves no line feed in a string.
 */
export function rowLine(event: Event): string {
  const { head, tail } = rowPieces(event);
  return head + JSON.stringify(event.content) + tail;
}

export function rowPieces(event: Event): Pieces {
  const metadata = event.metadataJson === '' ? '""' : JSON.stringify(event.metadataJson);
  return {
    head:
      `{"time":${event.timeUs},"id":"${event.id}","org_id":"${event.orgId}"` +
      `,"agent_id":"${event.agentId}","session_id":"${event.sessionId}"` +
      `,"memory_type":"${event.memoryType}","event_type":"${event.eventType}","content":`,
    tail:
      `,"metadata_json":${metadata},"tags_csv":"${event.tagsCsv}"` +
      `,"dedup_key":${quote(event.dedupKey)},"importance":${event.importance}` +
      `,"parent_id":${quote(event.parentId)},"ingested_at":${event.ingestedUs}` +
      `,"expires_at":${event.expiresUs}}`,
  };
}

/** The stored columns of one row: keys of a row line and of a store's result. */
export interface StoredRow {
  time: number;
  id: string;
  org_id: string;
  agent_id: string;
  session_id: string;
  memory_type: MemoryType;
  event_type: string;
  content: string;
  metadata_json: string;
  tags_csv: string;
  dedup_key: string;
  importance: number;
  parent_id: string;
  ingested_at: number;
  expires_at: number | null;
}

/** The event of a row line. A SyntaxError if it is not JSON, which the log's CRC rules out. */
export function parseRowLine(line: string): Event {
  return eventOfRow(JSON.parse(line) as StoredRow);
}

/** The event of a stored row whose times are µs. */
export function eventOfRow(row: StoredRow): Event {
  return {
    timeUs: row.time,
    id: row.id,
    orgId: row.org_id,
    agentId: row.agent_id,
    sessionId: row.session_id,
    memoryType: row.memory_type,
    eventType: row.event_type,
    content: row.content,
    metadataJson: row.metadata_json,
    tagsCsv: row.tags_csv,
    dedupKey: row.dedup_key,
    importance: row.importance,
    parentId: row.parent_id,
    ingestedUs: row.ingested_at,
    expiresUs: row.expires_at,
  };
}

const PLAIN = /^[\w.:-]*$/;

function quote(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

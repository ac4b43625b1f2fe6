import { assert } from '../base/assert.js';
import type { Event } from '../event/event.js';
import { parseRowLine } from '../event/json.js';
import type { Answer, Deletion } from '../metadata/metadata.js';

/**
 * What one log record says, as text: a head line of JSON, then one row line per event. A record is
 * one request, so its events and the answer kept for its Idempotency-Key survive together or not
 * at all. What is logged is the normalized event: replay never decodes a client's input again.
 */
interface EventsHead {
  kind: 'events';
  count: number;
  answer?: Answer;
}

interface DeletionHead {
  kind: 'deletion';
  /** Without its position, which the log gives. */
  deletion: Omit<Deletion, 'stream' | 'position'>;
}

export type LogEntry =
  | { kind: 'events'; events: Event[]; lines: string[]; answer?: Answer }
  | { kind: 'deletion'; deletion: Omit<Deletion, 'stream' | 'position'> };

/**
 * The lines of a record of events.
 *
 * @param rows one row line (event/json.ts) per event
 */
export function encodeEvents(rows: readonly string[], answer?: Answer): string[] {
  const head: EventsHead = { kind: 'events', count: rows.length, answer };
  const text = answer === undefined ? plainHead(rows.length) : JSON.stringify(head);
  return [text, ...rows];
}

function plainHead(count: number): string {
  return count === 1 ? '{"kind":"events","count":1}' : `{"kind":"events","count":${count}}`;
}

export function encodeDeletion(deletion: DeletionHead['deletion']): string {
  return JSON.stringify({ kind: 'deletion', deletion } satisfies DeletionHead);
}

/** The opposite of the two above. Throws on a text that neither made. */
export function decodeEntry(payload: string): LogEntry {
  const [headText, ...lines] = payload.split('\n');
  const head = JSON.parse(headText) as EventsHead | DeletionHead;
  if (head.kind === 'deletion') return { kind: 'deletion', deletion: head.deletion };
  assert(head.kind === 'events' && head.count === lines.length, 'log record: count of events');
  return { kind: 'events', events: lines.map(parseRowLine), lines, answer: head.answer };
}

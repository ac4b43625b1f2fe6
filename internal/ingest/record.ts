import { assert } from '../base/assert.js';
import { TextBuffer } from '../base/text-buffer.js';
import type { Event } from '../event/event.js';
import { parseRowLine } from '../event/json.js';
import { type Escaped, joinRowLines, type RowLines, writeRowLine } from '../event/rowlines.js';
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
  | { kind: 'events'; events: Event[]; lines: RowLines; answer?: Answer }
  | { kind: 'deletion'; deletion: Omit<Deletion, 'stream' | 'position'> };

const buffer = new TextBuffer();

/** A record of events, and in the same bytes its row lines. */
export function encodeEvents(
  rows: readonly Escaped[],
  answer?: Answer,
): { payload: Buffer; lines: RowLines } {
  const head: EventsHead = { kind: 'events', count: rows.length, answer };
  buffer.text(`${JSON.stringify(head)}\n`);
  const start = buffer.length;
  const ends: number[] = [];
  for (const row of rows) {
    writeRowLine(buffer, row);
    ends.push(buffer.length - start);
  }
  const bytes = buffer.take();
  // The last line of a record has no line feed.
  return { payload: bytes.subarray(0, -1), lines: { bytes: bytes.subarray(start), ends } };
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
  const events = lines.map(parseRowLine);
  return { kind: 'events', events, lines: joinRowLines(lines), answer: head.answer };
}

import type { TextBuffer } from '../base/text-buffer.js';
import type { Event } from './event.js';
import { memoryPieces, rowPieces } from './json.js';

/** Row lines (event/json.ts) back to back, each with its line feed. */
export interface RowLines {
  readonly bytes: Buffer;
  /** Where in `bytes` line i ends, after its line feed. */
  readonly ends: readonly number[];
}

/** Lines without their line feeds as they stand in a flush. */
export function joinRowLines(lines: readonly string[]): RowLines {
  const ends: number[] = [];
  let end = 0;
  for (const line of lines) {
    end += Buffer.byteLength(line) + 1;
    ends.push(end);
  }
  return { bytes: Buffer.from(lines.map((line) => `${line}\n`).join('')), ends };
}

/** What an event and the JSON text of its content are written from. */
export interface Escaped {
  readonly event: Event;
  /** JSON.stringify(event.content) */
  readonly content: string;
}

/** Adds the line of an event, its line feed included. */
export function writeRowLine(to: TextBuffer, { event, content }: Escaped): void {
  const { head, tail } = rowPieces(event);
  to.ascii(head);
  to.text(content);
  to.text(`${tail}\n`);
}

/** Adds the event as an answer carries it (json.ts: memoryJson). */
export function writeMemory(to: TextBuffer, { event, content }: Escaped): void {
  const { head, tail } = memoryPieces(event);
  to.ascii(head);
  to.text(content);
  to.text(tail);
}

import type { Event } from '../event/event.js';
import { memoryJson } from '../event/json.js';
import { bothIncomplete } from '../store/incomplete.js';
import type { Incomplete } from '../store/store.js';
import type { Reply } from './http.js';
import type { ApiRequest } from './request.js';
import { incompleteView } from './views.js';

/** A page of an export. */
export interface ExportPage {
  events: Event[];
  incomplete?: Incomplete;
}

/**
 * Pages as application/x-ndjson. The last line is `{"end":true,"count":n}`: where it is missing,
 * the stream was cut. A reader that stops, stops the pages; a slow one slows them.
 */
export async function lines(request: ApiRequest, pages: AsyncIterable<ExportPage>): Promise<Reply> {
  const iterator = pages[Symbol.asyncIterator]();
  // The first page is read before the answer begins: what fails at once fails with a status.
  let next = await iterator.next();
  let count = 0;
  let incomplete: Incomplete | undefined;
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (next.done) {
        const end = { end: true, count, ...incompleteView(incomplete) };
        controller.enqueue(encoder.encode(`${JSON.stringify(end)}\n`));
        controller.close();
        return;
      }
      const { events } = next.value;
      incomplete = bothIncomplete(incomplete, next.value.incomplete);
      count += events.length;
      if (events.length > 0) controller.enqueue(encoder.encode(textOf(events)));
      next = await iterator.next();
      if (events.length === 0) await this.pull?.(controller);
    },
    async cancel() {
      await iterator.return?.(undefined);
    },
  });
  const headers = { 'content-type': 'application/x-ndjson', 'x-request-id': request.requestId };
  return { status: 200, headers, body };
}

function textOf(events: readonly Event[]): string {
  return `${events.map((event) => memoryJson(event)).join('\n')}\n`;
}

import { createHmac, timingSafeEqual } from 'node:crypto';
import { Fault } from '../fault/fault.js';
import type { EventFilter, Place } from './event.js';
import type { ListRequest } from './query.js';

/**
 * Where the next page starts. The window is the one that the first page resolved: a span such as
 * `24h` must not move while a client walks through its pages.
 */
export interface PageCursor {
  sinceUs?: number;
  untilUs?: number;
  place: Place;
}

const VERSION = 1;
const MAC_BYTES = 16;
/** version · since · until · time; the rest is the id. */
const ID_AT = 1 + 3 * 8;

/**
 * An opaque text for the place after which the next page starts: base64url of
 * version (1) · since (8) · until (8) · time (8) · id · the first 16 bytes of an HMAC-SHA256 over
 * the canonical request and all that. Numbers are big-endian doubles, exact for µs; NaN is absent.
 *
 * @param secret of the installation, so that cursors hold across a restart and on every replica
 * @param canonical ListRequest.canonical: the cursor is good for this request only
 */
export function encodeCursor(secret: string, canonical: string, cursor: PageCursor): string {
  const head = Buffer.allocUnsafe(ID_AT);
  head.writeUInt8(VERSION, 0);
  head.writeDoubleBE(cursor.sinceUs ?? Number.NaN, 1);
  head.writeDoubleBE(cursor.untilUs ?? Number.NaN, 9);
  head.writeDoubleBE(cursor.place.timeUs, 17);
  const payload = Buffer.concat([head, Buffer.from(cursor.place.id, 'latin1')]);
  return Buffer.concat([payload, mac(secret, canonical, payload)]).toString('base64url');
}

/** @throws Fault invalid_cursor if `text` was not encoded with this secret for this request */
export function decodeCursor(secret: string, canonical: string, text: string): PageCursor {
  const bytes = Buffer.from(text, 'base64url');
  const end = bytes.length - MAC_BYTES;
  // Node skips what is no base64url: only the text that was given out is accepted.
  if (end <= ID_AT || bytes.toString('base64url') !== text) throw refused();
  const payload = bytes.subarray(0, end);
  if (!timingSafeEqual(bytes.subarray(end), mac(secret, canonical, payload))) throw refused();
  if (payload.readUInt8(0) !== VERSION) throw refused();
  const cursor: PageCursor = {
    place: { timeUs: payload.readDoubleBE(17), id: payload.toString('latin1', ID_AT) },
  };
  const sinceUs = payload.readDoubleBE(1);
  const untilUs = payload.readDoubleBE(9);
  if (!Number.isNaN(sinceUs)) cursor.sinceUs = sinceUs;
  if (!Number.isNaN(untilUs)) cursor.untilUs = untilUs;
  return cursor;
}

/** What a page of `request` reads: its filter, the window frozen, and the place it starts after. */
export function resumeFrom(
  request: ListRequest,
  secret: string,
): { filter: EventFilter; after?: Place } {
  if (request.cursor === undefined) return { filter: request.filter };
  const { sinceUs, untilUs, place } = decodeCursor(secret, request.canonical, request.cursor);
  return { filter: { ...request.filter, sinceUs, untilUs }, after: place };
}

/** The cursor of the page after `last`, the last event of a page that `filter` selected. */
export function cursorAfter(
  request: { canonical: string },
  filter: EventFilter,
  last: Place,
  secret: string,
): string {
  const { sinceUs, untilUs } = filter;
  const place = { timeUs: last.timeUs, id: last.id };
  return encodeCursor(secret, request.canonical, { sinceUs, untilUs, place });
}

/** The canonical request is JSON, which holds no NUL. */
function mac(secret: string, canonical: string, payload: Buffer): Buffer {
  const hmac = createHmac('sha256', secret).update(canonical).update('\0').update(payload);
  return hmac.digest().subarray(0, MAC_BYTES);
}

function refused(): Fault {
  return new Fault('invalid_cursor', 'cursor does not belong to this request.', {
    field: 'cursor',
    hint: 'Use next_cursor as it came, with the same filters and order; or start without it.',
  });
}

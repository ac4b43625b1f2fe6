import type { Services } from '../engine/services.js';
import { cursorAfter, decodeCursor } from '../event/cursor.js';
import type { PageRequest } from '../event/query.js';
import type { PageAfter } from '../metadata/metadata.js';

/** Where a page of agents or sessions starts. Throws Fault invalid_cursor. */
export function pageAfter(services: Services, query: PageRequest): PageAfter | undefined {
  if (query.cursor === undefined) return undefined;
  const { place } = decodeCursor(services.listing.cursorSecret, query.canonical, query.cursor);
  return { createdUs: place.timeUs, id: place.id };
}

/** count, has_more and next_cursor of a page. */
export function pageMembers(
  services: Services,
  query: PageRequest,
  items: readonly PageAfter[],
  hasMore: boolean,
): Record<string, unknown> {
  const last = items[items.length - 1];
  const members = { count: items.length, has_more: hasMore };
  if (!hasMore || last === undefined) return members;
  const place = { timeUs: last.createdUs, id: last.id };
  const secret = services.listing.cursorSecret;
  return { ...members, next_cursor: cursorAfter(query, {}, place, secret) };
}

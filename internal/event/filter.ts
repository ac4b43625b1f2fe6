import type { Event, EventFilter, Order, Place } from './event.js';
import { fold } from './fold.js';

/** What a filter looks at. */
export type Filterable = Pick<
  Event,
  | 'timeUs'
  | 'sessionId'
  | 'agentId'
  | 'id'
  | 'memoryType'
  | 'eventType'
  | 'parentId'
  | 'importance'
  | 'tagsCsv'
  | 'content'
>;

/**
 * Whether `event` is selected. The plain meaning of a filter: the recent buffer answers with it,
 * and the stores' SQL must agree with it. The organization, expiry and deletions are the caller's.
 */
export function matches(event: Filterable, filter: EventFilter): boolean {
  return (
    (filter.sinceUs === undefined || event.timeUs >= filter.sinceUs) &&
    (filter.untilUs === undefined || event.timeUs < filter.untilUs) &&
    (filter.sessionId === undefined || event.sessionId === filter.sessionId) &&
    isOneOf(event.agentId, filter.agentIds) &&
    isOneOf(event.id, filter.ids) &&
    isOneOf(event.memoryType, filter.memoryTypes) &&
    isOneOf(event.eventType, filter.eventTypes) &&
    (filter.parentId === undefined || event.parentId === filter.parentId) &&
    (filter.minImportance === undefined || event.importance >= filter.minImportance) &&
    hasTags(event.tagsCsv, filter.tags) &&
    (filter.contentContains === undefined || fold(event.content).includes(filter.contentContains))
  );
}

/** An empty list selects nothing: it must never widen a result. */
function isOneOf(value: string, wanted: readonly string[] | undefined): boolean {
  return wanted === undefined || wanted.includes(value);
}

function hasTags(csv: string, wanted: readonly string[] | undefined): boolean {
  if (wanted === undefined || wanted.length === 0) return true;
  const fenced = `,${csv},`;
  return wanted.every((tag) => fenced.includes(`,${tag},`));
}

/** The total order of a listing, for Array.sort: by time, then by id. */
export function compareEvents(order: Order): (a: Place, b: Place) => number {
  return order === 'asc' ? comparePlaces : (a, b) => comparePlaces(b, a);
}

/** Whether `event` lies strictly behind `place` in the order, so belongs to the next page. */
export function comesAfter(event: Place, place: Place, order: Order): boolean {
  const sign = comparePlaces(event, place);
  return order === 'asc' ? sign > 0 : sign < 0;
}

/** Ids are ASCII, so that comparing UTF-16 units is comparing bytes, as the stores do. */
function comparePlaces(a: Place, b: Place): number {
  if (a.timeUs !== b.timeUs) return a.timeUs - b.timeUs;
  if (a.id === b.id) return 0;
  return a.id < b.id ? -1 : 1;
}

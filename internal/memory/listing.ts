import type { Caller } from '../auth/caller.js';
import { cursorAfter, resumeFrom } from '../event/cursor.js';
import type { Event, EventFilter, Place } from '../event/event.js';
import type { ListRequest } from '../event/query.js';
import { Fault } from '../fault/fault.js';
import { placeAfter, type Recall } from '../recall/recall.js';
import type { Incomplete } from '../store/store.js';
import type { QueryKind } from '../telemetry/metrics.js';

/** The verbs that read memories. */
export interface Listed {
  events: Event[];
  hasMore: boolean;
  nextCursor: string | null;
  incomplete?: Incomplete;
  /** Present if the time limit came first: see Page. The cursor goes on from there. */
  searchedUs?: number;
}

/** Events read at a time by an export: bounds its memory. */
const EXPORT_PAGE = 1_000;

export class Listing {
  private readonly recall: Recall;
  /** Signs cursors; one for the installation. */
  readonly cursorSecret: string;

  constructor(recall: Recall, cursorSecret: string) {
    this.recall = recall;
    this.cursorSecret = cursorSecret;
  }

  /** One page. Rejects with `invalid_cursor`. */
  async list(
    caller: Caller,
    request: ListRequest,
    kind: QueryKind,
    signal?: AbortSignal,
  ): Promise<Listed> {
    const { filter, after } = resumeFrom(request, this.cursorSecret);
    const { order, limit, offset } = request;
    const reader = { orgId: caller.orgId, floorUs: caller.floorUs, kind, signal };
    const query = { filter, order, after, limit, offset, partial: true };
    const page = await this.recall.page(reader, query);
    const { searchedUs } = page;
    const last =
      searchedUs === undefined
        ? page.events[page.events.length - 1]
        : placeAfter(searchedUs, order);
    const more = page.hasMore && last !== undefined;
    return {
      events: page.events,
      hasMore: page.hasMore,
      nextCursor: more ? cursorAfter(request, filter, last, this.cursorSecret) : null,
      incomplete: page.incomplete,
      searchedUs,
    };
  }

  /** Rejects with `not_found`, or `memory_unreadable` if it may be in a damaged file. */
  async get(caller: Caller, id: string, signal?: AbortSignal): Promise<Event> {
    const { orgId, floorUs } = caller;
    const event = await this.recall.get({ orgId, floorUs, kind: 'get', signal }, id);
    if (event === null) throw new Fault('not_found', 'memory not found');
    return event;
  }

  /** Everything that matches, oldest first, a page at a time. */
  async *export(
    caller: Caller,
    filter: EventFilter,
    signal?: AbortSignal,
  ): AsyncIterable<{ events: Event[]; incomplete?: Incomplete }> {
    const reader = {
      orgId: caller.orgId,
      floorUs: caller.floorUs,
      kind: 'export',
      signal,
    } as const;
    let after: Place | undefined;
    for (;;) {
      const query = { filter, order: 'asc', after, limit: EXPORT_PAGE } as const;
      const { events, hasMore, incomplete } = await this.recall.page(reader, query);
      yield { events, incomplete };
      if (!hasMore) return;
      after = events[events.length - 1];
    }
  }
}

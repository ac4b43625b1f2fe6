import { US_PER_DAY } from '../base/clock.js';
import { encodeMs } from '../base/ulid.js';
import type { Event, EventFilter } from '../event/event.js';
import { comesAfter, compareEvents, matches } from '../event/filter.js';
import { parseRowLine, rowLine } from '../event/json.js';
import type { Deletion } from '../metadata/metadata.js';
import type { SealedBatch, StoreQuery, Visibility } from './store.js';

/** Events, batches and queries for tests of a store, and a plain store to compare with. */

export const STREAM = 'stream-1';
export const DAY0 = 20_000;
export const NOW_US = (DAY0 + 400) * US_PER_DAY;

let serial = 0;

/** An event with a fresh id that carries its time. */
export function eventAt(timeUs: number, with_: Partial<Event> = {}): Event {
  serial += 1;
  const id = `mem_${encodeMs(Math.floor(timeUs / 1000))}${String(serial).padStart(16, '0')}`;
  return {
    timeUs,
    id,
    orgId: 'org_a',
    agentId: 'bot',
    sessionId: '',
    memoryType: 'episodic',
    eventType: 'general',
    content: `content ${serial}`,
    metadataJson: '',
    tagsCsv: '',
    dedupKey: '',
    importance: 0,
    parentId: '',
    ingestedUs: timeUs + 7,
    expiresUs: null,
    ...with_,
  };
}

export function batchOf(from: number, to: number, events: readonly Event[]): SealedBatch {
  const lines = events.map((event) => Buffer.from(`${rowLine(event)}\n`));
  const longestLine = Math.max(0, ...lines.map(({ length }) => length));
  return { stream: STREAM, from, to, events, lines, longestLine, dedupRun: null };
}

export function deletionOf(position: number, filter: EventFilter, orgId = 'org_a'): Deletion {
  serial += 1;
  return {
    id: `era_${serial}`,
    orgId,
    filter,
    stream: STREAM,
    position,
    requestedUs: NOW_US,
    deadlineUs: NOW_US,
    state: 'accepted',
    doneUs: null,
  };
}

export function queryOf(with_: Partial<StoreQuery> = {}): StoreQuery {
  const visibility: Visibility = { nowUs: NOW_US, floorUs: null, deletions: [] };
  return {
    orgId: 'org_a',
    filter: {},
    visibility,
    order: 'desc',
    limit: 100,
    kind: 'test',
    ...with_,
  };
}

/** The batches that were written, and what a read over them must answer. */
export class NaiveStore {
  private readonly rows: { event: Event; position: number }[] = [];

  write(batch: SealedBatch): void {
    const text = Buffer.concat([...batch.lines]).toString('utf8');
    for (const line of text.split('\n').slice(0, -1)) {
      this.rows.push({ event: parseRowLine(line), position: batch.to });
    }
  }

  visible({ orgId, filter, visibility, upTo }: Omit<StoreQuery, 'order' | 'limit' | 'kind'>) {
    const { nowUs, floorUs, deletions } = visibility;
    const kept = this.rows.filter(
      ({ event, position }) =>
        event.orgId === orgId &&
        position <= (upTo?.position ?? Number.POSITIVE_INFINITY) &&
        (event.expiresUs === null || event.expiresUs > nowUs) &&
        (floorUs === null || event.timeUs >= floorUs) &&
        matches(event, filter) &&
        !deletions.some(
          (deletion) => position <= deletion.position && matches(event, deletion.filter),
        ),
    );
    return kept.map(({ event }) => event);
  }

  read(query: StoreQuery): Event[] {
    const { after, order, limit } = query;
    const events = this.visible(query).sort(compareEvents(order));
    const rest = after === undefined ? events : events.filter((e) => comesAfter(e, after, order));
    return rest.slice(0, limit);
  }

  stats(query: StoreQuery) {
    const events = this.visible(query);
    const byType: Record<string, number> = {};
    for (const { memoryType } of events) byType[memoryType] = (byType[memoryType] ?? 0) + 1;
    return {
      count: events.length,
      errors: events.filter(({ eventType }) => eventType === 'error').length,
      byType,
      lastUs: events.length === 0 ? null : Math.max(...events.map(({ timeUs }) => timeUs)),
    };
  }
}

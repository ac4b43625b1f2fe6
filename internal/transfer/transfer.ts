import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, formatUs } from '../base/clock.js';
import { Mutex } from '../base/mutex.js';
import type { DecodeContext } from '../event/decode.js';
import type { Event, EventFilter, Place } from '../event/event.js';
import { matches } from '../event/filter.js';
import { rowLine, type StoredRow } from '../event/json.js';
import { Fault } from '../fault/fault.js';
import type { Ingest } from '../ingest/ingest.js';
import type { DeletionStore, Org, OrgStore } from '../metadata/metadata.js';
import type { Recall } from '../recall/recall.js';
import type { Deletions } from '../recent/deletions.js';
import { decodeLine, type Imported, type LineContext, portableLine, wireOfRow } from './line.js';

/**
 * Takes an organization's memories out and in again, a bounded piece a call: ids and times are
 * kept. Rows come in the durable way, through the log, like any write.
 */
export interface TransferParts {
  clock: Clock;
  recall: Recall;
  ingest: Ingest;
  deletions: Deletions;
  ledger: DeletionStore;
  orgs: OrgStore;
  limits: DecodeContext['limits'];
  /** Keys of rows that were ingested longer ago are not claimed: they are free by now. */
  dedupWindowUs: number;
  /** Event times before it are beyond the organization's retention; null = none. */
  floorOf(org: Org): number | null;
}

/** `wire`: memories as the API shows them; `stored`: rows of the stored schema, times in µs. */
export type LineKind = 'wire' | 'stored';

export interface ExportOrder {
  /** Its id or name. */
  org: string;
  filter: EventFilter;
  kind: LineKind;
  /** The `next` of the page before; absent for the first. */
  after?: Place;
}

export interface ExportedPage {
  /** Oldest first, each with its line feed. */
  text: string;
  rows: number;
  next: Place | null;
  /** A damaged file was left out. */
  incomplete?: { files: number; since: string; until: string };
}

export interface ImportOrder {
  org: string;
  kind: LineKind;
  lines: readonly string[];
  /** Only look for mistakes. */
  check: boolean;
}

/** What became of the lines; all counts together are their number. */
export interface ImportCounts {
  stored: number;
  /** A memory with this id was there already. */
  known: number;
  /** Another memory holds the deduplication key. */
  duplicates: number;
  /** The organization asked, after the row was written, for what it matches to be deleted. */
  deleted: number;
  /** Its expiry, or the organization's retention, has passed. */
  expired: number;
}

export interface LineProblem {
  /** Which of the lines, from 0. */
  index: number;
  field?: string;
  error: string;
}

export interface ImportReport extends ImportCounts {
  /** If there is one, nothing was stored. */
  problems: LineProblem[];
}

/** Rows read at a time: bounds memory. */
const PAGE_ROWS = 1_000;
/** How long an import waits for a buffer that is full of others' writes. */
const PATIENCE_MS = 60_000;
const AGAIN_MS = 100;

export class Transfer {
  private readonly parts: TransferParts;
  /** Between the look-up of ids and their write nobody else may bring them. */
  private readonly turn = new Mutex();

  constructor(parts: TransferParts) {
    this.parts = parts;
  }

  /** The next piece of an export. Rejects with `not_found` for an unknown organization. */
  async exportPage({ org, filter, kind, after }: ExportOrder): Promise<ExportedPage> {
    const reader = await this.readerOf(org);
    const query = { filter, order: 'asc', after, limit: PAGE_ROWS } as const;
    const { events, hasMore, incomplete } = await this.parts.recall.page(reader, query);
    const lineOf = kind === 'stored' ? (event: Event) => rowLine(event) : portableLine;
    const last = events[events.length - 1];
    const page: ExportedPage = {
      text: events.map((event) => `${lineOf(event)}\n`).join(''),
      rows: events.length,
      next: hasMore && last !== undefined ? { timeUs: last.timeUs, id: last.id } : null,
    };
    if (incomplete === undefined) return page;
    const { files, sinceUs, untilUs } = incomplete;
    return { ...page, incomplete: { files, since: formatUs(sinceUs), until: formatUs(untilUs) } };
  }

  /**
   * Stores what is new of the lines, all or none of them. The same lines again store nothing. What
   * was deleted since it was exported stays deleted.
   */
  async importBatch(order: ImportOrder): Promise<ImportReport> {
    const { orgId, floorUs } = await this.readerOf(order.org);
    const { clock, limits } = this.parts;
    const context = { orgId, nowUs: clock.nowUs(), limits };
    const { rows, problems } = decodeAll(order, context);
    const report: ImportReport = { ...NOTHING, problems };
    if (problems.length > 0 || order.check) return report;
    const live = rows.filter(({ event, expired }) => {
      return !expired && (floorUs === null || event.timeUs >= floorUs);
    });
    report.expired = rows.length - live.length;
    await this.turn.run(() =>
      this.store(
        orgId,
        live.map(({ event }) => event),
        report,
      ),
    );
    return report;
  }

  private async store(
    orgId: string,
    events: readonly Event[],
    report: ImportCounts,
  ): Promise<void> {
    const known = await this.knownOf(orgId, events);
    const absent = events.filter(({ id }) => !known.has(id) && known.add(id));
    report.known = events.length - absent.length;
    const wanted = await this.withoutDeleted(orgId, absent);
    report.deleted = absent.length - wanted.length;
    if (wanted.length === 0) return;
    const { stored, duplicates } = await this.write(wanted);
    report.stored = stored;
    report.duplicates = duplicates;
  }

  /** The ids that are there. Where damage hides rows, nobody can tell: it rejects (C7). */
  private async knownOf(orgId: string, events: readonly Event[]): Promise<Set<string>> {
    if (events.length === 0) return new Set();
    const ids = [...new Set(events.map(({ id }) => id))];
    const reader = { orgId, floorUs: null, kind: 'other' } as const;
    const query = { filter: { ids }, order: 'asc', limit: ids.length } as const;
    const page = await this.parts.recall.page(reader, query);
    if (page.incomplete !== undefined) {
      throw new Fault(
        'store_unavailable',
        'a damaged file covers the time of these rows, so what is stored of them cannot be told',
        { hint: 'see memtrace verify' },
      );
    }
    return new Set(page.events.map(({ id }) => id));
  }

  /** Deletions of any state count, those that are long done too: their rows must not come back. */
  private async withoutDeleted(orgId: string, events: readonly Event[]): Promise<Event[]> {
    if (events.length === 0) return [];
    const oldestUs = events.reduce((least, event) => Math.min(least, event.ingestedUs), Infinity);
    // Those of the log first: on their way into the ledger they are in one of the two, or both.
    const unflushed = this.parts.deletions.forOrg(orgId);
    const deletions = [...unflushed, ...(await this.parts.ledger.ofOrg(orgId, oldestUs))];
    return events.filter((event) => {
      return !deletions.some((deletion) => {
        return deletion.requestedUs >= event.ingestedUs && matches(event, deletion.filter);
      });
    });
  }

  private async write(events: readonly Event[]): Promise<{ stored: number; duplicates: number }> {
    const { clock, ingest, dedupWindowUs } = this.parts;
    const deadline = clock.monoMs() + PATIENCE_MS;
    for (;;) {
      try {
        const claimedAfterUs = clock.nowUs() - dedupWindowUs;
        return await ingest.write(events, { claimedAfterUs });
      } catch (error) {
        const busy = error instanceof Fault && error.code === 'overloaded';
        if (!busy || clock.monoMs() > deadline) throw error;
        await sleep(AGAIN_MS);
      }
    }
  }

  private async readerOf(idOrName: string) {
    const org = await this.parts.orgs.find(idOrName);
    if (org === null) throw new Fault('not_found', `there is no organization "${idOrName}"`);
    return { orgId: org.id, floorUs: this.parts.floorOf(org), kind: 'export' } as const;
  }
}

const NOTHING: ImportCounts = { stored: 0, known: 0, duplicates: 0, deleted: 0, expired: 0 };

function decodeAll(
  { kind, lines }: ImportOrder,
  context: LineContext,
): { rows: Imported[]; problems: LineProblem[] } {
  const rows: Imported[] = [];
  const problems: LineProblem[] = [];
  lines.forEach((line, index) => {
    try {
      const raw = jsonOf(line);
      const wire = kind === 'stored' ? wireOfRow(raw as Partial<StoredRow>) : raw;
      rows.push(decodeLine(wire, context));
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const { field } = error.details;
      problems.push({ index, ...(field === undefined ? {} : { field }), error: error.message });
    }
  });
  return { rows, problems };
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new Fault('invalid_json', 'the line is not JSON', { cause });
  }
}

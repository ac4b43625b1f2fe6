import { AssertionError } from '../../base/assert.js';
import type { Event } from '../../event/event.js';
import { compareEvents } from '../../event/filter.js';
import { eventOfRow } from '../../event/json.js';
import { Fault } from '../../fault/fault.js';
import type { Catalog, Located, LocatedPartition } from '../../metadata/metadata.js';
import type { LocalObjects } from '../../objects/local.js';
import type { StatsQuery, StorePage, StoreQuery, StoreStats } from '../store.js';
import { type Duck, type SqlCell, SqlError } from './duck.js';
import type { RunningReads } from './garbage.js';
import { type Guard, unavailable } from './guard.js';
import * as plan from './plan.js';
import { rowReader, type Statement, selectPage, selectStats } from './sql.js';

/** Runs what plan.ts says: a thin loop over steps that stops as soon as the page is settled. */
export interface ReadParts {
  duck: Duck;
  catalog: Catalog;
  objects: LocalObjects;
  guard: Guard;
  running: RunningReads;
}

/** The snapshot named a file that was replaced meanwhile: it is taken anew. */
class SnapshotTooOld extends Error {}

/** A replaced file stays for longer than any query runs, so twice in a row is no coincidence. */
const MAX_SNAPSHOTS = 3;

export class Reader {
  private readonly parts: ReadParts;

  constructor(parts: ReadParts) {
    this.parts = parts;
  }

  page(query: StoreQuery): Promise<StorePage> {
    const read = (located: Located) => this.readPage(query, located);
    return this.parts.running.during(() => this.withSnapshot(query, read));
  }

  stats(query: StatsQuery): Promise<StoreStats> {
    const read = (located: Located) => this.readStats(query, located);
    return this.parts.running.during(() => this.withSnapshot(query, read));
  }

  private async withSnapshot<T>(
    query: StatsQuery,
    read: (located: Located) => Promise<T>,
  ): Promise<T> {
    for (let tries = 1; ; tries++) {
      query.signal?.throwIfAborted();
      try {
        const scope = plan.scopeOf(query, plan.rangeOf(query));
        const located = await this.parts.catalog.locate(scope);
        return await read(plan.upTo(located, query.upTo));
      } catch (error) {
        if (query.signal?.aborted) throw query.signal.reason;
        if (error instanceof SnapshotTooOld && tries < MAX_SNAPSHOTS) continue;
        throw explain(error);
      }
    }
  }

  private async readPage(query: StoreQuery, located: Located): Promise<StorePage> {
    const { order, limit } = query;
    const planned = { ...query, epochs: located.epochs };
    const unusable = [...located.quarantined];
    const rowOf = rowReader(query);
    let events: Event[] = [];
    let searchedUs: number | undefined;
    let cutUs: number | undefined;
    for (const step of plan.planSteps(located.partitions, order, limit)) {
      const found = await this.readFiles(planned, step.files, unusable, (branches) =>
        selectPage(branches, query, this.pathOf),
      ).catch((error: unknown) => {
        if (searchedUs === undefined || !deadlineCame(query)) throw error;
        return null;
      });
      if (found === null) {
        cutUs = searchedUs;
        break;
      }
      const fresh = found.map((cells) => eventOfRow(rowOf(cells)));
      events = [...events, ...fresh].sort(compareEvents(order)).slice(0, limit);
      const last = events[limit - 1];
      if (last !== undefined && plan.isFinal(step, order, last.timeUs)) break;
      searchedUs = plan.searchedBy(step, query);
    }
    if (cutUs !== undefined) events = plan.upToTime(events, order, cutUs);
    const lastUs = cutUs ?? events[limit - 1]?.timeUs ?? null;
    const incomplete = plan.incompleteOf(plan.reachedBy(unusable, order, lastUs));
    const page: StorePage = { events, through: located.through, incomplete };
    return cutUs === undefined ? page : { ...page, searchedUs: cutUs };
  }

  private async readStats(query: StatsQuery, located: Located): Promise<StoreStats> {
    const unusable = [...located.quarantined];
    const stats: StoreStats = {
      count: 0,
      errors: 0,
      byType: {},
      lastUs: null,
      through: located.through,
    };
    const planned = { ...query, epochs: located.epochs };
    const { summed, read } = plan.planStats(located.partitions, planned);
    for (const file of summed) addSpans(stats, file);
    for (const files of plan.inChunks(read)) {
      const rows = await this.readFiles(planned, files, unusable, (branches) =>
        selectStats(branches, query, this.pathOf),
      );
      for (const row of rows) addRow(stats, row);
    }
    stats.incomplete = plan.incompleteOf(unusable);
    return stats;
  }

  /** Runs one statement over the whole ones of the files; damaged ones go to `unusable`. */
  private async readFiles(
    query: plan.Planned & StatsQuery,
    files: readonly LocatedPartition[],
    unusable: LocatedPartition[],
    statement: (branches: plan.Branch[]) => Statement,
  ): Promise<SqlCell[][]> {
    const { duck } = this.parts;
    const { signal } = query;
    let whole = await this.sift(files, unusable, { signal });
    for (;;) {
      if (whole.length === 0) return [];
      const { sql, values } = statement(plan.branchesOf(whole, query));
      try {
        return await duck.query(sql, values, signal);
      } catch (error) {
        if (signal?.aborted || !(error instanceof SqlError) || error.kind !== 'failed') throw error;
        const left = await this.sift(whole, unusable, { signal, again: true });
        // All of them are as they were written: it is not the files.
        if (left.length === whole.length) throw error;
        whole = left;
      }
    }
  }

  private async sift(
    files: readonly LocatedPartition[],
    unusable: LocatedPartition[],
    options: { signal?: AbortSignal; again?: boolean },
  ): Promise<readonly LocatedPartition[]> {
    const { guard } = this.parts;
    if (!options.again && guard.knows(files)) return files;
    const verdicts = await guard.verdicts(files, options);
    if (verdicts.includes('replaced')) throw new SnapshotTooOld('a file was replaced');
    unusable.push(...files.filter((_, i) => verdicts[i] === 'damaged'));
    return files.filter((_, i) => verdicts[i] === 'whole');
  }

  private readonly pathOf = (key: string): string => this.parts.objects.path(key);
}

/** Whether the deadline, and not the caller, ended the read. */
function deadlineCame({ signal, deadline }: StoreQuery): boolean {
  return deadline?.aborted === true && signal?.reason === deadline.reason;
}

function addSpans(stats: StoreStats, { sum }: LocatedPartition): void {
  const { rows, decisions, entities, sessions, errors, lastUs } = sum;
  const episodic = rows - decisions - entities - sessions;
  stats.errors += errors;
  stats.lastUs = Math.max(stats.lastUs ?? lastUs, lastUs);
  addType(stats, 'episodic', episodic);
  addType(stats, 'decision', decisions);
  addType(stats, 'entity', entities);
  addType(stats, 'session', sessions);
}

function addRow(stats: StoreStats, [type, rows, errors, last]: readonly SqlCell[]): void {
  stats.errors += Number(errors);
  stats.lastUs = Math.max(stats.lastUs ?? Number(last), Number(last));
  addType(stats, String(type), Number(rows));
}

function addType(stats: StoreStats, type: string, rows: number): void {
  if (rows === 0) return;
  stats.count += rows;
  stats.byType[type] = (stats.byType[type] ?? 0) + rows;
}

function explain(error: unknown): unknown {
  // A broken belief is a bug: no retry helps.
  const known = error instanceof Fault || error instanceof AssertionError;
  return known ? error : unavailable(error);
}

import type { Caller } from '../auth/caller.js';
import type { Clock } from '../base/clock.js';
import type { UlidFactory } from '../base/ulid.js';
import type { EventFilter } from '../event/event.js';
import { Fault } from '../fault/fault.js';
import type { Ingest } from '../ingest/ingest.js';
import type { Deletion, Metadata } from '../metadata/metadata.js';
import type { Recall } from '../recall/recall.js';
import type { Deletions } from '../recent/deletions.js';
import type { Incomplete } from '../store/store.js';

/** The verbs that erase memories: gone from every read at once, from the files by compaction. */
export interface ForgetParts {
  clock: Clock;
  ulids: UlidFactory;
  ingest: Ingest;
  recall: Recall;
  deletions: Deletions;
  metadata: Metadata;
  /** How long after the request the bytes must be gone from the files. */
  deadlineUs: number;
  /** How many files may still hold bytes of it. */
  filesLeft(deletion: Deletion): Promise<number>;
}

export interface Forgotten {
  erasureId: string;
  /** Without what damaged files hold: see `incomplete`. */
  deleted: number;
  /** Damaged files that may hold more of it. */
  incomplete?: Incomplete;
}

/** The state of an erasure. */
export interface Erasure {
  deletion: Deletion;
  /** Files that may still hold bytes of it. */
  filesLeft: number;
}

export class Forget {
  private readonly parts: ForgetParts;

  constructor(parts: ForgetParts) {
    this.parts = parts;
  }

  /**
   * Erases one memory. Rejects with `not_found`. One that may be in a damaged file is erased all
   * the same: whether that file is given up or comes back whole, the memory must not.
   */
  async one(caller: Caller, id: string): Promise<Forgotten> {
    const { orgId, floorUs } = caller;
    const found = await this.parts.recall.find({ orgId, floorUs, kind: 'get' }, id);
    if (found === null) throw new Fault('not_found', 'memory not found');
    const done = await this.parts.ingest.delete(this.request(orgId, { ids: [id] }), null);
    done.release();
    return { erasureId: done.deletion.id, deleted: 1 };
  }

  /** Erases what matches; an empty filter is the whole organization (only for its deletion). */
  async matching(
    caller: Pick<Caller, 'orgId' | 'floorUs'>,
    filter: EventFilter,
  ): Promise<Forgotten> {
    const { orgId, floorUs } = caller;
    const request = this.request(orgId, filter);
    const done = await this.parts.ingest.delete(request, floorUs);
    const reader = { orgId, floorUs, kind: 'other' } as const;
    const { deletion, before, flushedThrough } = done;
    const { recall } = this.parts;
    const stored = await recall
      .countDeleted(reader, deletion, before, flushedThrough)
      .finally(done.release);
    const { count, incomplete } = stored;
    return { erasureId: deletion.id, deleted: done.taken + count, incomplete };
  }

  /** How far an erasure has come. Rejects with `not_found`. */
  async erasure(caller: Caller, id: string): Promise<Erasure> {
    const { deletions, metadata } = this.parts;
    const known = deletions.forOrg(caller.orgId).find((one) => one.id === id);
    const deletion = (await metadata.deletions.find(caller.orgId, id)) ?? known;
    if (deletion === undefined) throw new Fault('not_found', 'erasure not found');
    const filesLeft = deletion.state === 'done' ? 0 : await this.parts.filesLeft(deletion);
    return { deletion, filesLeft };
  }

  private request(orgId: string, filter: EventFilter): Omit<Deletion, 'stream' | 'position'> {
    const nowUs = this.parts.clock.nowUs();
    return {
      id: `era_${this.parts.ulids.next(Math.floor(nowUs / 1000))}`,
      orgId,
      filter,
      requestedUs: nowUs,
      deadlineUs: nowUs + this.parts.deadlineUs,
      state: 'accepted',
      doneUs: null,
    };
  }
}

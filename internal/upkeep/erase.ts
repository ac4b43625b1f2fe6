import { decodeMs } from '../base/ulid.js';
import { covers } from '../metadata/epochs.js';
import type { Deletion, LocatedPartition, Scope } from '../metadata/metadata.js';
import { applicable, type Leaving } from '../store/parquet/leaving.js';
import { goneWith } from './expire.js';
import { type Expiry, goneNoter, leavingNow, type UpkeepParts } from './parts.js';

/** A file that may hold rows of some deletions. */
interface Affected {
  file: LocatedPartition;
  deletions: Deletion[];
  /** One of them alone covers every row of the file. */
  whole: boolean;
}

/** Erasures whose files are written anew, while reads may still use the old files. */
interface Finishing {
  deletions: readonly Deletion[];
  /** Replaced files of then: they may hold the bytes. */
  garbage: ReadonlySet<string>;
}

/** The part of the deadline after which the work begins; the rest is for trying again. */
const BEGIN_AFTER = 1 / 4;
const MS = 1_000;

/**
 * Brings erasures to their end: the bytes leave the log (segments end and are released), the files
 * (written anew without the rows), what replaced files are left, and the catalog's own journal.
 * Then the deletion is done, and reads need it no more.
 */
export class Eraser {
  private readonly parts: UpkeepParts;
  /** By deletion: the files that were looked at and hold no row of it. */
  private readonly cleared = new Map<string, Set<string>>();
  private readonly erasing = new Set<string>();
  /** Files in quarantine that hold up erasures, as of the last try. */
  private blocking = new Set<string>();
  private finishing: Finishing[] = [];
  private triedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: UpkeepParts) {
    this.parts = parts;
  }

  /** Those that are not done. */
  get pending(): Deletion[] {
    return [...this.parts.deletions.all().values()].flat();
  }

  /** How many files in quarantine held up erasures when they were last tried. */
  get blockedBy(): number {
    return this.blocking.size;
  }

  /** Whether the oldest one has waited long enough, and the last try is not too fresh. */
  get due(): boolean {
    const { clock, settings } = this.parts;
    const retryMs = Math.min(60_000, settings.erasureDeadlineMs / 20);
    if (clock.monoMs() - this.triedMs < retryMs) return false;
    const waitUs = settings.erasureDeadlineMs * BEGIN_AFTER * MS;
    const nowUs = clock.nowUs();
    return this.toDo().some(({ requestedUs }) => requestedUs + waitUs <= nowUs);
  }

  /** Removes the rows of all pending erasures from log and files. */
  async run(expiry: Expiry | null): Promise<void> {
    this.triedMs = this.parts.clock.monoMs();
    if (this.toDo().length === 0) {
      this.blocking = new Set();
      return;
    }
    // Records up to now end with their segment, so that the flush frees it.
    await this.parts.log.rotate();
    await this.parts.flusher.flush();
    const leaving = leavingNow(this.parts, expiry);
    const todo = this.toDo().filter((deletion) => applicable(leaving, deletion));
    for (const deletion of todo) await this.begin(deletion);
    const blocked = new Set<string>();
    for (const affected of await this.affected(todo, blocked)) {
      if (!(await this.clear(affected, leaving))) {
        for (const { id } of affected.deletions) blocked.add(id);
      }
    }
    const deletions = todo.filter(({ id }) => !blocked.has(id));
    if (deletions.length === 0) return;
    const garbage = new Set(await this.parts.metadata.catalog.garbage());
    this.finishing.push({ deletions, garbage });
  }

  /** Ends those of which no replaced file is left. */
  async finish(): Promise<void> {
    if (this.finishing.length === 0) return;
    const left = new Set(await this.parts.metadata.catalog.garbage());
    const over = this.finishing.filter(({ garbage }) =>
      [...garbage].every((key) => !left.has(key)),
    );
    if (over.length === 0) return;
    const { metadata, deletions, clock, observer } = this.parts;
    // Names of agents and sessions of the replaced files go too, and their last copies.
    await metadata.catalog.sweepSpans();
    await metadata.checkpoint();
    for (const { id, orgId } of over.flatMap((one) => one.deletions)) {
      await metadata.deletions.setState(id, 'done', clock.nowUs());
      deletions.remove(orgId, id);
      this.cleared.delete(id);
      this.erasing.delete(id);
      observer.erased(id);
    }
    this.finishing = this.finishing.filter((one) => !over.includes(one));
  }

  /** Files that may still hold bytes of the deletion, replaced ones that are left included. */
  async filesLeft(deletion: Deletion): Promise<number> {
    const cleared = this.cleared.get(deletion.id);
    let files = 0;
    for (const file of await this.filesOf(deletion)) if (!cleared?.has(file.id)) files += 1;
    if (!this.erasing.has(deletion.id)) return files;
    return files + (await this.parts.metadata.catalog.garbage()).length;
  }

  private toDo(): Deletion[] {
    const finishing = new Set(this.finishing.flatMap(({ deletions }) => deletions));
    const ids = new Set([...finishing].map(({ id }) => id));
    return this.pending.filter(({ id }) => !ids.has(id));
  }

  private async begin({ id }: Deletion): Promise<void> {
    if (this.erasing.has(id)) return;
    await this.parts.metadata.deletions.setState(id, 'erasing', null);
    this.erasing.add(id);
    this.cleared.set(id, new Set());
  }

  /** The files of all of them, each once. Those in quarantine block: nobody can rewrite them. */
  private async affected(
    deletions: readonly Deletion[],
    blocked: Set<string>,
  ): Promise<Affected[]> {
    const byId = new Map<string, Affected>();
    const blocking = new Set<string>();
    for (const deletion of deletions) {
      for (const file of await this.filesOf(deletion)) {
        if (this.cleared.get(deletion.id)?.has(file.id)) continue;
        if (file.state === 'live') addTo(byId, file, deletion);
        else {
          blocked.add(deletion.id);
          blocking.add(file.id);
        }
      }
    }
    this.blocking = blocking;
    return [...byId.values()];
  }

  /** Whether none of the deletions has a row in the file, or what became of it, any more. */
  private async clear({ file, deletions, whole }: Affected, leaving: Leaving): Promise<boolean> {
    const { store, observer } = this.parts;
    const onGone = goneNoter(this.parts);
    try {
      if (whole) {
        const gone = await goneWith(this.parts, file);
        onGone(gone);
        const dropped = await store.drop([file], gone);
        if (dropped) observer.removed(file.rows, 'erasure');
        return dropped;
      }
      const done = await store.rewrite({ inputs: [file], leaving, merge: false, onGone });
      if (done.outcome === 'stale') return false;
      const id = done.output?.id ?? file.id;
      for (const deletion of deletions) this.cleared.get(deletion.id)?.add(id);
      if (done.rowsGone > 0) observer.removed(done.rowsGone, 'erasure');
      return true;
    } catch (error) {
      observer.failed('erasure', error);
      return false;
    }
  }

  /** The files to which the deletion applies and which have rows of its scope. */
  private async filesOf(deletion: Deletion): Promise<LocatedPartition[]> {
    const files = new Map<string, LocatedPartition>();
    for (const scope of scopesOf(deletion)) {
      const located = await this.parts.metadata.catalog.locate(scope);
      for (const file of [...located.partitions, ...located.quarantined]) {
        if (covers(located.epochs, deletion, file)) files.set(file.id, file);
      }
    }
    return [...files.values()];
  }
}

/** What the catalog is asked: for ids the millisecond of each. */
function scopesOf({ orgId, filter }: Deletion): Scope[] {
  const { ids, agentIds, sessionId, sinceUs, untilUs } = filter;
  if (ids === undefined) return [{ orgId, agentIds, sessionId, sinceUs, untilUs }];
  return ids.flatMap((id) => {
    const ms = decodeMs(id.slice(4));
    return ms === null ? [] : [{ orgId, sinceUs: ms * MS, untilUs: (ms + 1) * MS }];
  });
}

function addTo(byId: Map<string, Affected>, file: LocatedPartition, deletion: Deletion): void {
  const whole = coversAll(deletion, file);
  const known = byId.get(file.id);
  if (known === undefined) byId.set(file.id, { file, deletions: [deletion], whole });
  else {
    known.deletions.push(deletion);
    known.whole ||= whole;
  }
}

const SCOPE_KEYS = new Set(['agentIds', 'sessionId', 'sinceUs', 'untilUs']);

/** From the sums alone: every row of the file is one that the deletion takes. */
function coversAll({ filter }: Deletion, { sum, rows }: LocatedPartition): boolean {
  const exact = Object.entries(filter).every(
    ([key, value]) => value === undefined || SCOPE_KEYS.has(key),
  );
  const { sinceUs = Number.NEGATIVE_INFINITY, untilUs = Number.POSITIVE_INFINITY } = filter;
  return exact && sum.rows === rows && sum.firstUs >= sinceUs && sum.lastUs < untilUs;
}

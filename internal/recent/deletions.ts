import type { Deletion } from '../metadata/metadata.js';

interface OrgDeletions {
  byId: Map<string, Deletion>;
  /** Built on demand; replaced, never changed, so that a read may hold on to what it began with. */
  list: readonly Deletion[] | null;
}

/** The deletions that reads must apply: all whose rows may still be in a file. */
export class Deletions {
  private readonly byOrg = new Map<string, OrgDeletions>();
  /** Positions at which a running count needs the files to end; see `hold`. */
  private readonly holds = new Map<symbol, number>();
  private readonly gone = new Map<string, number>();

  constructor(active: readonly Deletion[]) {
    for (const deletion of active) this.add(deletion);
  }

  forOrg(orgId: string): readonly Deletion[] {
    const org = this.byOrg.get(orgId);
    if (org === undefined) return NONE;
    org.list ??= [...org.byId.values()];
    return org.list;
  }

  /** By organization. A snapshot: what comes later is not in it. */
  all(): Map<string, readonly Deletion[]> {
    return new Map([...this.byOrg.keys()].map((orgId) => [orgId, this.forOrg(orgId)]));
  }

  /**
   * Somebody counts what a deletion took of the files up to `position`: until released, no file
   * past it may be merged with one before, and no deletion past it may leave its files.
   * @returns ends it; harmless when called again
   */
  hold(position: number): () => void {
    const key = Symbol('hold');
    this.holds.set(key, position);
    return () => this.holds.delete(key);
  }

  /** The lowest position that is held; infinity if none is. */
  get heldAt(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.holds.values());
  }

  /** Rows of the organization that were ingested up to `newestUs` are about to be gone for good. */
  noteGone(orgId: string, newestUs: number): void {
    this.gone.set(orgId, Math.max(newestUs, this.goneUpTo(orgId)));
  }

  /** Of its rows that were ingested later than this, none is gone; minus infinity: none at all. */
  goneUpTo(orgId: string): number {
    return this.gone.get(orgId) ?? Number.NEGATIVE_INFINITY;
  }

  /** Idempotent by id: a replay meets what the metadata store already told. */
  add(deletion: Deletion): void {
    const org = this.byOrg.get(deletion.orgId) ?? { byId: new Map(), list: null };
    this.byOrg.set(deletion.orgId, org);
    if (!org.byId.has(deletion.id)) org.byId.set(deletion.id, deletion);
    org.list = null;
  }

  /** Its bytes are gone: reads need it no more. */
  remove(orgId: string, id: string): void {
    const org = this.byOrg.get(orgId);
    if (org?.byId.delete(id)) org.list = null;
  }
}

const NONE: readonly Deletion[] = [];

import type { Deletion } from '../metadata/metadata.js';

interface OrgDeletions {
  byId: Map<string, Deletion>;
  /** Built on demand; replaced, never changed, so that a read may hold on to what it began with. */
  list: readonly Deletion[] | null;
}

/** The deletions that reads must apply: all whose rows may still be in a file. */
export class Deletions {
  private readonly byOrg = new Map<string, OrgDeletions>();

  constructor(active: readonly Deletion[]) {
    for (const deletion of active) this.add(deletion);
  }

  forOrg(orgId: string): readonly Deletion[] {
    const org = this.byOrg.get(orgId);
    if (org === undefined) return NONE;
    org.list ??= [...org.byId.values()];
    return org.list;
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

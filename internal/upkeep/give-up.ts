import { dayName, formatUs, US_PER_DAY } from '../base/clock.js';
import { Fault } from '../fault/fault.js';
import type { QuarantinedPartition } from '../metadata/metadata.js';
import { goneWith } from './expire.js';
import { goneNoter, type UpkeepParts } from './parts.js';

/** A damaged file, and what is lost with it, by the catalog alone. */
export interface QuarantinedFile {
  key: string;
  reason: string;
  /** The UTC day of all its rows. */
  day: string;
  /** Its oldest and its newest event time. */
  since: string;
  until: string;
  rows: number;
  bytes: number;
  /** Whose rows they are; no name for one that was deleted. */
  orgs: { id: string; name: string | null; rows: number }[];
}

/** Ends what a damaged file holds up: nobody can repair it, and the operator lets it go. */
export class GivingUp {
  private readonly parts: UpkeepParts;

  constructor(parts: UpkeepParts) {
    this.parts = parts;
  }

  /** Those in quarantine, by day. */
  async list(): Promise<QuarantinedFile[]> {
    return this.viewsOf(await this.parts.metadata.catalog.quarantined());
  }

  /**
   * Takes files out of the catalog for good; they leave the disk as any replaced file does. Rejects
   * with `not_found` if one of the keys is not in quarantine.
   * @param keys null = all
   */
  async drop(keys: readonly string[] | null): Promise<QuarantinedFile[]> {
    const all = await this.parts.metadata.catalog.quarantined();
    const unknown = keys?.find((key) => all.every((file) => file.key !== key));
    if (unknown !== undefined) throw notThere(unknown);
    const files = all.filter(({ key }) => keys === null || keys.includes(key));
    const views = await this.viewsOf(files);
    const gone = (await Promise.all(files.map((file) => goneWith(this.parts, file)))).flat();
    // Noted before, so that no duplicate of a row is refused by what is on its way out.
    goneNoter(this.parts)(gone);
    if (!(await this.parts.store.discard(files, gone))) throw notThere('one of them');
    return views;
  }

  private async viewsOf(files: readonly QuarantinedPartition[]): Promise<QuarantinedFile[]> {
    const orgs = await this.parts.metadata.orgs.list();
    const names = new Map(orgs.map(({ id, name }) => [id, name]));
    return Promise.all(
      files.map(async (file) => ({
        key: file.key,
        reason: file.reason,
        day: dayName(file.day),
        since: formatUs(file.minTimeUs),
        until: formatUs(file.maxTimeUs),
        rows: file.rows,
        bytes: file.bytes,
        orgs: await this.orgsIn(file, names),
      })),
    );
  }

  private async orgsIn(
    { id, day }: QuarantinedPartition,
    names: ReadonlyMap<string, string>,
  ): Promise<QuarantinedFile['orgs']> {
    const { catalog } = this.parts.metadata;
    const window = { sinceUs: day * US_PER_DAY, untilUs: (day + 1) * US_PER_DAY };
    const orgs: QuarantinedFile['orgs'] = [];
    for (const orgId of await catalog.orgsOf(id)) {
      const { quarantined } = await catalog.locate({ orgId, ...window });
      const rows = quarantined.find((file) => file.id === id)?.sum.rows ?? 0;
      orgs.push({ id: orgId, name: names.get(orgId) ?? null, rows });
    }
    return orgs;
  }
}

function notThere(key: string): Fault {
  const hint = 'memtrace quarantine list shows what is';
  return new Fault('not_found', `${key} is not in quarantine`, { hint });
}

import { US_PER_DAY } from '../base/clock.js';
import { decodeMs } from '../base/ulid.js';
import type { Partition, RowsGone } from '../metadata/metadata.js';
import { type Expiry, goneNoter, isBelow, leavingNow, type UpkeepParts } from './parts.js';

/** Removes what is beyond its retention or its own expiry from the disk. */
export class Expirer {
  private readonly parts: UpkeepParts;

  constructor(parts: UpkeepParts) {
    this.parts = parts;
  }

  /** What has expired at this moment, by the rules of today. */
  async expiry(): Promise<Expiry> {
    const { clock, metadata, settings } = this.parts;
    const nowUs = clock.nowUs();
    const floors = new Map<string, number>();
    for (const { id, retentionDays } of await metadata.orgs.list()) {
      const days = retentionDays ?? settings.retentionDays;
      if (days > 0) floors.set(id, nowUs - days * US_PER_DAY);
    }
    return { expiredUs: nowUs, floors };
  }

  /** Files all of whose rows have expired go unread, others are written anew. Files that failed. */
  async run(expiry: Expiry): Promise<number> {
    const expired = await this.expiredRows(expiry);
    const files = await this.parts.metadata.catalog.partitions();
    let failed = 0;
    for (const file of files) {
      const byExpiry = file.minExpiresUs !== null && file.minExpiresUs <= expiry.expiredUs;
      const whole = expired.get(file.id) === file.rows;
      // What is damaged can only go as a whole.
      const due = whole || (file.state === 'live' && (byExpiry || expired.has(file.id)));
      if (!due) continue;
      try {
        await this.remove(file, whole, expiry);
      } catch (error) {
        failed += 1;
        this.parts.observer.failed('expiry', error);
      }
    }
    return failed;
  }

  private async remove(file: Partition, whole: boolean, expiry: Expiry): Promise<void> {
    const { store, observer } = this.parts;
    const leaving = leavingNow(this.parts, expiry);
    if (!isBelow(leaving, file)) return;
    const onGone = goneNoter(this.parts);
    if (whole) {
      const gone = await goneWith(this.parts, file);
      onGone(gone);
      const live = file.state === 'live';
      const dropped = await (live ? store.drop([file], gone) : store.discard([file], gone));
      if (dropped) observer.removed(file.rows, 'expiry');
      return;
    }
    const done = await store.rewrite({ inputs: [file], leaving, merge: false, onGone });
    if (done.rowsGone > 0) observer.removed(done.rowsGone, 'expiry');
  }

  /**
   * By file: how many rows are surely beyond a retention, from the sums of the catalog alone; 0 for
   * a file of which only some rows of an organization are.
   */
  private async expiredRows({ floors }: Expiry): Promise<Map<string, number>> {
    const rows = new Map<string, number>();
    for (const [orgId, untilUs] of floors) {
      const located = await this.parts.metadata.catalog.locate({ orgId, untilUs });
      for (const { id, sum } of [...located.partitions, ...located.quarantined]) {
        const surely = sum.lastUs < untilUs ? sum.rows : 0;
        rows.set(id, (rows.get(id) ?? 0) + surely);
      }
    }
    return rows;
  }
}

/** Whose rows go with a file that is not read: none was ingested after the file was made. */
export async function goneWith(
  { metadata }: Pick<UpkeepParts, 'metadata'>,
  { id }: Partition,
): Promise<RowsGone[]> {
  const newestUs = ((decodeMs(id.slice(4)) ?? 0) + 1) * 1000;
  return (await metadata.catalog.orgsOf(id)).map((orgId) => ({ orgId, newestUs }));
}

import { decodeMs } from '../base/ulid.js';
import type { DedupHolder } from '../dedup/dedup.js';
import type { Catalog } from '../metadata/metadata.js';
import type { Recall } from '../recall/recall.js';
import type { Deletions } from '../recent/deletions.js';
import type { Recent } from '../recent/recent.js';

/** What a look-up of a duplicate's holder needs. */
export interface ExistsParts {
  recent: Recent;
  recall: Recall;
  deletions: Deletions;
  catalog: Catalog;
  nowUs(): number;
}

/** What a run of keys may round an ingestion time by, generously. */
const ROUNDING_US = 2_000_000;

/**
 * Whether an event that a deduplication key names is still there. It runs for every duplicate, so
 * it asks the store only where something can have taken the event: a deletion of its organization,
 * an expiry in a file of its time, or a file that was written anew without rows as old as it.
 */
export async function holderExists(
  parts: ExistsParts,
  orgId: string,
  { id, ingestedUs }: DedupHolder,
): Promise<boolean> {
  const nowUs = parts.nowUs();
  const row = parts.recent.find(orgId, id);
  if (row !== undefined) {
    const { expiresUs } = row;
    return !row.deleted && (expiresUs === null || expiresUs > nowUs);
  }
  const untouched =
    parts.deletions.forOrg(orgId).length === 0 &&
    parts.deletions.goneUpTo(orgId) < ingestedUs - ROUNDING_US &&
    !(await mayExpire(parts, orgId, id, nowUs));
  if (untouched) return true;
  // In a damaged file it is still kept, until the operator gives the file up.
  return (await parts.recall.find({ orgId, floorUs: null, kind: 'other' }, id)) !== null;
}

async function mayExpire(
  parts: ExistsParts,
  orgId: string,
  id: string,
  nowUs: number,
): Promise<boolean> {
  const ms = decodeMs(id.slice(4));
  if (ms === null) return true;
  const window = { sinceUs: ms * 1000, untilUs: (ms + 1) * 1000 };
  const { partitions } = await parts.catalog.locate({ orgId, ...window });
  return partitions.some(({ sum }) => sum.minExpiresUs !== null && sum.minExpiresUs <= nowUs);
}

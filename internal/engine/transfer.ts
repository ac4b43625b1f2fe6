import { retentionFloor } from '../auth/caller.js';
import type { Ingest } from '../ingest/ingest.js';
import type { Recall } from '../recall/recall.js';
import { Transfer } from '../transfer/transfer.js';
import type { Opened } from './opened.js';
import type { Host } from './services.js';

/** Export and import over what is open; no logic. */
export function transferOf(
  { clock, config }: Pick<Host, 'clock' | 'config'>,
  { metadata, deletions }: Opened,
  { recall, ingest }: { recall: Recall; ingest: Ingest },
): Transfer {
  const { contentBytes, metadataBytes } = config.limits;
  return new Transfer({
    clock,
    recall,
    ingest,
    deletions,
    ledger: metadata.deletions,
    orgs: metadata.orgs,
    limits: { contentBytes, metadataBytes },
    dedupWindowUs: config.dedup.windowHours * 3_600_000_000,
    floorOf: (org) => retentionFloor(org, config.retention.days, clock),
  });
}

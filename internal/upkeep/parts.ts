import type { Clock } from '../base/clock.js';
import type { Epoch } from '../metadata/epochs.js';
import type { Metadata } from '../metadata/metadata.js';
import type { Deletions } from '../recent/deletions.js';
import type { Recent } from '../recent/recent.js';
import type { Leaving } from '../store/parquet/leaving.js';
import type { ParquetStore } from '../store/parquet/parquet.js';
import type { RewriteOrder, Rewritten } from '../store/parquet/rewrite.js';

/** What upkeep works on. */
export interface UpkeepParts {
  clock: Clock;
  metadata: Pick<Metadata, 'catalog' | 'deletions' | 'orgs' | 'checkpoint'>;
  store: Pick<ParquetStore, 'rewrite' | 'drop' | 'discard' | 'collectGarbage'>;
  recent: Pick<Recent, 'flushedThrough'>;
  deletions: Deletions;
  log: { readonly stream: string; rotate(): Promise<void> };
  /** The order of the log's streams, which is fixed while the server runs. */
  epochs: readonly Epoch[];
  flusher: { flush(): Promise<void> };
  settings: UpkeepSettings;
  observer: UpkeepObserver;
}

export interface UpkeepSettings {
  compaction: boolean;
  compactEveryMs: number;
  minFiles: number;
  sweepEveryMs: number;
  /** 0 = everything is kept. */
  retentionDays: number;
  erasureDeadlineMs: number;
  /** How long the clocks must agree before anything expires from the disk. */
  trustAfterMs: number;
}

/** What is told to metrics and log; none may throw. */
export interface UpkeepObserver {
  /** Files were merged. */
  merged(done: Rewritten): void;
  /** Rows that were deleted or expired are in no file any more. */
  removed(rows: number, why: 'erasure' | 'expiry'): void;
  erased(erasureId: string): void;
  failed(job: 'compaction' | 'erasure' | 'expiry' | 'garbage', error: unknown): void;
  /** A file that cannot be merged though it can be read: no further try before a restart. */
  setAside(key: string, error: unknown): void;
}

/** What has expired by the clock, to be removed from the disk. */
export interface Expiry {
  expiredUs: number;
  floors: ReadonlyMap<string, number>;
}

/**
 * What a rewrite that begins now leaves out. Taken in one synchronous step: a deletion that comes
 * later counts files up to `through` at least, so none that is merged now reaches past its count.
 * @param expiry null while the clock is not to be trusted
 */
export function leavingNow(
  { recent, deletions, log, epochs }: Pick<UpkeepParts, 'recent' | 'deletions' | 'log' | 'epochs'>,
  expiry: Expiry | null,
): Leaving {
  return {
    stream: log.stream,
    epochs,
    through: Math.min(recent.flushedThrough, deletions.heldAt),
    deletions: deletions.all(),
    expiredUs: expiry?.expiredUs ?? null,
    floors: expiry?.floors ?? new Map(),
  };
}

/** Whether the file may be rewritten now. */
export function isBelow(
  { stream, through }: Leaving,
  file: { stream: string; toPosition: number },
): boolean {
  return file.stream !== stream || file.toPosition <= through;
}

/** A duplicate whose holder is in a rewritten file must be looked up from now on. */
export function goneNoter({ deletions }: Pick<UpkeepParts, 'deletions'>): RewriteOrder['onGone'] {
  return (gone) => {
    for (const { orgId, newestUs } of gone) deletions.noteGone(orgId, newestUs);
  };
}

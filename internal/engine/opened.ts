import type { HeldLog } from '../backup/held-log.js';
import type { DedupIndex } from '../dedup/dedup.js';
import type { Answers } from '../ingest/answers.js';
import type { Flusher } from '../ingest/flusher.js';
import type { SegmentLog } from '../log/segments/segment-log.js';
import type { Epoch } from '../metadata/epochs.js';
import type { Metadata } from '../metadata/metadata.js';
import type { DirLock } from '../metadata/sqlite/lock.js';
import type { Deletions } from '../recent/deletions.js';
import type { Recent } from '../recent/recent.js';
import type { ParquetStore } from '../store/parquet/parquet.js';
import type { DataDir } from './datadir.js';

/** Everything that is open, in the order of opening. */
export interface Opened {
  dir: DataDir;
  lock: DirLock;
  metadata: Metadata;
  wal: SegmentLog;
  /** The log for those who free its space. */
  held: HeldLog;
  /** The order of the log's streams, this one last. */
  epochs: readonly Epoch[];
  store: ParquetStore;
  dedup: DedupIndex;
  recent: Recent;
  deletions: Deletions;
  answers: Answers;
  flusher: Flusher;
}

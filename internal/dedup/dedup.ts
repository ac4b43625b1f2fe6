/**
 * The deduplication index: which (organization, key) was seen first within the window.
 *
 * Exact towards the client. Keys of events that are still in the log live in memory (a restart
 * replays them); a flush writes the keys of its batch as one sorted, immutable run, and the same
 * metadata transaction that makes the Parquet files visible makes the run visible.
 */
export interface DedupKey {
  orgId: string;
  /** The key of the wire contract: the client's own or 32 hex digits. */
  key: string;
}

export interface DedupEntry extends DedupKey {
  /** `mem_` + ULID. */
  id: string;
  ingestedUs: number;
}

export interface DedupIndex {
  /**
   * Claims the entries, one after another: the answer at i is null if entry i is now first (its
   * claim is open until settled), or the holder of its key. A holder that is still open comes with
   * `settled`, which resolves true once the holder is durable and false if it was given up (the
   * caller then tries again). Entries outside the window are free. Two entries of one call with
   * equal keys: the second meets the first.
   */
  reserve(entries: readonly DedupEntry[], nowUs: number): Promise<(DedupHolder | null)[]>;
  /** `reserve` without waiting: null, and no claim, if memory alone cannot tell. */
  tryReserve(entries: readonly DedupEntry[], nowUs: number): (DedupHolder | null)[] | null;
  /** The log took the claims: they are durable at `position`. */
  settle(entries: readonly DedupEntry[], position: number): void;
  /** The log refused: the claims are free again. */
  abandon(entries: readonly DedupEntry[]): void;
  /**
   * The holder's event is gone (deleted, expired): its key is free. False if the key surely is not
   * held by `id` any more. Kept in memory only: after a restart, or should it be forgotten
   * otherwise, `reserve` names the gone holder once more, and the caller, who asks whether a
   * holder's event still exists before it believes in a duplicate, frees it again. The claim that
   * follows is in a newer run than the holder's and shadows it for good.
   */
  free(key: DedupKey, id: string): boolean;
  /**
   * A replayed event, as reserve + settle. The log holds only events that were new when they came,
   * so of two with one key the later one took it over (the first was deleted or expired): it wins.
   * Must be called in the log's order, before the first reserve.
   */
  replay(entry: DedupEntry, position: number): void;
  /**
   * Writes the keys of positions up to `through` as a run: durable, not yet visible.
   * Returns null if there are none.
   */
  seal(through: number): Promise<DedupRun | null>;
  /** The run is in the catalog: memory of its keys may go. */
  commit(run: DedupRun): void;
  /** No file that the catalog names from now on is removed until the answer is called. */
  hold(): () => void;
  close(): Promise<void>;
}

export interface DedupHolder {
  id: string;
  ingestedUs: number;
  settled?: Promise<boolean>;
}

/** One immutable sorted file of keys, as the catalog names it. */
export interface DedupRun {
  /** Relative to the data directory, generated, e.g. `dedup/01J….run`. */
  path: string;
  keys: number;
  bytes: number;
  checksum: string;
  /** The newest ingestion time in it: past the window the whole run goes. */
  newestUs: number;
  through: number;
}

/** The part of the metadata catalog that the index needs. */
export interface DedupCatalog {
  dedupRuns(): Promise<DedupRun[]>;
  /** ONE transaction. */
  replaceDedupRuns(removed: readonly string[], added: readonly DedupRun[]): Promise<void>;
}

/** Damage that was found (C6). */
export interface DedupDamage {
  /** The run's path as the catalog has it. */
  path: string;
  reason: string;
  /** How many keys may be lost: duplicates of these could pass. */
  keys: number;
}

export interface DedupStats {
  runs: number;
  runKeys: number;
  /** Keys that no visible run holds. */
  pendingKeys: number;
  /** Filters and memtable: what grows with the number of keys. */
  memoryBytes: number;
  /** Lookups of one key in one run that went to the disk, and those that found it. */
  diskLookups: number;
  diskHits: number;
  merges: number;
  mergedKeys: number;
}

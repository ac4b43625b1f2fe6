import { Fault } from '../../fault/fault.js';
import type { Catalog, Partition } from '../../metadata/metadata.js';
import type { LocalObjects } from '../../objects/local.js';
import type { Inspection } from './inspect.js';
import { InspectError, type Inspector } from './inspector.js';

/**
 * Stands between the files and every answer: no row of a file is used before its checksum was
 * compared with the catalog's, once after each start (the format has no checks that DuckDB makes:
 * most flipped bits would change rows in silence).
 *
 * A damaged file is quarantined in the catalog and reported (C6). What may pass (too many open
 * files, no memory, no permission) is no damage: the read fails and nothing is marked (C7).
 */
export interface GuardParts {
  catalog: Catalog;
  objects: LocalObjects;
  inspector: Inspector;
  onDamage(damage: Damage): void;
}

export interface Damage {
  partitionId: string;
  key: string;
  reason: string;
}

/** Takes the checksum of the file at a path. */
export type Look = (path: string) => Promise<Inspection>;

export type Verdict =
  | 'whole'
  /** In quarantine now: the answer must say so. */
  | 'damaged'
  /** The catalog names it no more: the snapshot is too old. */
  | 'replaced';

/** Errors of the system that tell of the file itself. */
const DAMAGE_CODES = new Set(['ENOENT', 'EIO', 'EISDIR', 'EUCLEAN', 'EBADMSG']);

export class Guard {
  private readonly parts: GuardParts;
  private readonly whole = new Set<string>();
  private readonly asked = new Map<string, Promise<Verdict>>();

  constructor(parts: GuardParts) {
    this.parts = parts;
  }

  /** The file was checked by whoever wrote it in this process. */
  trust(partitionId: string): void {
    this.whole.add(partitionId);
  }

  /** The files are no longer named by the catalog. */
  forget(partitionIds: readonly string[]): void {
    for (const id of partitionIds) this.whole.delete(id);
  }

  /** Whether all of them were found whole already: reads need not wait then. */
  knows(files: readonly Partition[]): boolean {
    return files.every(({ id }) => this.whole.has(id));
  }

  /**
   * The verdicts in the order of the files; looks only at those not yet known to be whole, or at
   * all of them if `again` (after a read failed). Rejects with `store_unavailable` if it cannot
   * tell, or with the signal's reason.
   */
  async verdicts(
    files: readonly Partition[],
    { again = false, signal }: { again?: boolean; signal?: AbortSignal } = {},
  ): Promise<Verdict[]> {
    const verdicts: Verdict[] = [];
    // One after another: the inspecting thread takes them so anyway, and an abort ends it sooner.
    for (const file of files) {
      signal?.throwIfAborted();
      if (again) this.whole.delete(file.id);
      verdicts.push(this.whole.has(file.id) ? 'whole' : await this.ask(file));
    }
    return verdicts;
  }

  /** Reads that ask for one file at the same time share the look at it. */
  private ask(file: Partition): Promise<Verdict> {
    const asked = this.asked.get(file.id);
    if (asked !== undefined) return asked;
    const verdict = this.judge(file).finally(() => this.asked.delete(file.id));
    this.asked.set(file.id, verdict);
    return verdict;
  }

  /**
   * The verdict on a file by a look of somebody's own: it was whole once, and may be so no more.
   * Reads do not wait for it. Rejects with `store_unavailable` if it cannot tell.
   */
  async scrub(file: Partition, look: Look): Promise<Verdict> {
    const verdict = await this.judge(file, look);
    if (verdict === 'damaged') this.whole.delete(file.id);
    return verdict;
  }

  private async judge(file: Partition, look: Look = this.look): Promise<Verdict> {
    const reason = await this.defectOf(file, look);
    if (reason === null) {
      this.whole.add(file.id);
      return 'whole';
    }
    const { catalog, onDamage } = this.parts;
    const now = (await catalog.partitions()).find(({ id }) => id === file.id);
    if (now === undefined) return 'replaced';
    if (now.state === 'live') {
      await catalog.quarantine(file.id, reason);
      onDamage({ partitionId: file.id, key: file.key, reason });
    }
    return 'damaged';
  }

  private readonly look: Look = (path) => this.parts.inspector.inspect(path, 'checksum');

  private async defectOf(file: Partition, look: Look): Promise<string | null> {
    const { objects } = this.parts;
    try {
      const { checksum, bytes } = await look(objects.path(file.key));
      if (bytes !== file.bytes) return `${bytes} bytes instead of ${file.bytes}`;
      return checksum === file.checksum ? null : 'the checksum differs from the catalog';
    } catch (error) {
      const code = error instanceof InspectError ? error.code : '';
      if (!DAMAGE_CODES.has(code)) throw unavailable(error);
      // Without its volume every file is missing, and none of them is lost.
      if (code === 'ENOENT' && !(await objects.reachable('events'))) throw unavailable(error);
      return code === 'ENOENT' ? 'the file is missing' : `the file cannot be read (${code})`;
    }
  }
}

/** The store cannot answer now; a later try may succeed. */
export function unavailable(cause: unknown): Fault {
  const message = 'the store cannot be read at the moment';
  return new Fault('store_unavailable', message, { cause, retryAfterS: 1 });
}

import { Fault } from '../fault/fault.js';
import type { Partition } from '../metadata/metadata.js';
import { SqlError } from '../store/parquet/duck.js';
import { pickGroups } from '../store/parquet/pick.js';
import type { Rewritten } from '../store/parquet/rewrite.js';
import { type Expiry, goneNoter, isBelow, leavingNow, type UpkeepParts } from './parts.js';

export interface MergeOptions {
  /** Only files of this UTC day. */
  day?: number;
  /** Two small files of a day are enough. */
  eager?: boolean;
  expiry: Expiry | null;
  /** Asked between two merges: there is something more urgent. */
  stop(): boolean;
  /** How long to rest after so much work, in milliseconds. */
  restMs(workedMs: number): number;
  onMerged?(done: Rewritten, left: Debt): void;
}

/** What waits to be merged. */
export interface Debt {
  groups: number;
  files: number;
  bytes: number;
}

export interface GroupView {
  day: number;
  files: number;
  rows: number;
  bytes: number;
}

/** A merge that fails so often fails for a reason of its own, and each file is tried alone. */
const TRIES = 3;

/** Makes small files of a day few: one merge at a time, until none is due. */
export class Merger {
  debt: Debt = { groups: 0, files: 0, bytes: 0 };
  private readonly parts: UpkeepParts;
  private readonly failures = new Map<string, number>();
  private readonly aside = new Set<string>();
  /** Files too large in memory to be merged with another. */
  private readonly finished = new Set<string>();

  constructor(parts: UpkeepParts) {
    this.parts = parts;
  }

  /** Files that no merge takes any more, as they made it fail. */
  get setAside(): number {
    return this.aside.size;
  }

  async run(options: MergeOptions): Promise<void> {
    const failed = new Set<string>();
    for (;;) {
      const groups = (await this.groups(options)).filter(([first]) => !failed.has(first.id));
      const [group] = groups;
      if (group === undefined || options.stop()) return;
      const start = this.parts.clock.monoMs();
      try {
        const done = await this.merge(group, options);
        if (done === null) failed.add(group[0].id);
        else options.onMerged?.(done, this.debt);
      } catch (error) {
        this.parts.observer.failed('compaction', error);
        if (mayPass(error)) return;
        failed.add(group[0].id);
        await this.countFailure(group, error);
      }
      await sleep(options.restMs(this.parts.clock.monoMs() - start));
    }
  }

  /** What would be merged now. */
  async preview(options: Pick<MergeOptions, 'day' | 'eager'>): Promise<GroupView[]> {
    return (await this.groups(options)).map((group) => ({
      day: group[0].day,
      files: group.length,
      rows: group.reduce((sum, { rows }) => sum + rows, 0),
      bytes: group.reduce((sum, { bytes }) => sum + bytes, 0),
    }));
  }

  private async groups({ day, eager }: Pick<MergeOptions, 'day' | 'eager'>) {
    const { clock, metadata, settings } = this.parts;
    const leaving = leavingNow(this.parts, null);
    const files = await metadata.catalog.partitions();
    const groups = pickGroups(files, {
      nowUs: clock.nowUs(),
      minFiles: settings.minFiles,
      day,
      eager,
      eligible: (file) =>
        isBelow(leaving, file) && !this.aside.has(file.id) && !this.finished.has(file.id),
    });
    if (day === undefined && eager !== true) this.debt = debtOf(groups);
    return groups;
  }

  /** Null if the files are no longer what they were, or too large together. */
  private async merge(
    group: readonly Partition[],
    { expiry }: Pick<MergeOptions, 'expiry'>,
  ): Promise<Rewritten | null> {
    const { store, observer } = this.parts;
    const leaving = leavingNow(this.parts, expiry);
    // A count that began since the group was picked may hold a lower position.
    if (!group.every((file) => isBelow(leaving, file))) return null;
    const onGone = goneNoter(this.parts);
    const done = await store.rewrite({ inputs: group, leaving, merge: true, onGone });
    if (done.outcome === 'unchanged') this.finished.add(group[0].id);
    if (done.outcome !== 'replaced') return null;
    for (const { id } of done.inputs) this.failures.delete(id);
    observer.merged(done);
    await store.collectGarbage();
    return done;
  }

  private async countFailure(group: readonly Partition[], error: unknown): Promise<void> {
    for (const { id } of group) this.failures.set(id, (this.failures.get(id) ?? 0) + 1);
    if (group.some(({ id }) => (this.failures.get(id) ?? 0) < TRIES)) return;
    let culprits = 0;
    for (const file of group) if (!(await this.canBeCopied(file))) culprits += 1;
    // Each can be copied alone, and together they cannot.
    if (culprits === 0) for (const file of group) this.leave(file, error);
  }

  /** Whether the file can be read and written again by itself; if not, it is set aside. */
  private async canBeCopied(file: Partition): Promise<boolean> {
    const leaving = leavingNow(this.parts, null);
    if (!isBelow(leaving, file)) return true;
    try {
      const order = { inputs: [file], leaving, merge: true, onGone: goneNoter(this.parts) };
      const { output } = await this.parts.store.rewrite(order);
      this.failures.delete(file.id);
      // Were the files of the group to fail together again, it would be once more and no oftener.
      if (output !== null) this.failures.set(output.id, TRIES);
      return true;
    } catch (error) {
      if (mayPass(error)) return true;
      this.leave(file, error);
      return false;
    }
  }

  private leave({ id, key }: Partition, error: unknown): void {
    this.aside.add(id);
    this.parts.observer.setAside(key, error);
  }
}

/** A lack of memory, space or a database that passes: no file is to blame. */
export function mayPass(error: unknown): boolean {
  if (error instanceof Fault) return error.code !== 'internal';
  return error instanceof SqlError && error.kind !== 'failed';
}

function debtOf(groups: readonly (readonly Partition[])[]): Debt {
  const files = groups.flat();
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return { groups: groups.length, files: files.length, bytes };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

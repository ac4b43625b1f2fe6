import type { Catalog } from '../../metadata/metadata.js';
import type { LocalObjects } from '../../objects/local.js';

/** Reads under way, by when they began. */
export class RunningReads {
  private readonly began = new Map<symbol, number>();
  private readonly monoMs: () => number;

  constructor(monoMs: () => number) {
    this.monoMs = monoMs;
  }

  /** Runs one read. */
  async during<T>(read: () => Promise<T>): Promise<T> {
    const key = Symbol('read');
    this.began.set(key, this.monoMs());
    try {
      return await read();
    } finally {
      this.began.delete(key);
    }
  }

  /** Whether no read that began at or before that moment is still under way. */
  areOver(monoMs: number): boolean {
    for (const began of this.began.values()) if (began <= monoMs) return false;
    return true;
  }
}

export interface GarbageParts {
  catalog: Catalog;
  objects: LocalObjects;
  reads: RunningReads;
  monoMs: () => number;
}

/**
 * Files that were replaced. Each is deleted as soon as every read that began before its replacement
 * has ended (a read lasts no longer than its timeout): later reads never hear of it. The catalog
 * keeps the list, so that a restart, which no read survives, goes on with it.
 */
export class Garbage {
  private readonly parts: GarbageParts;
  private readonly replacedMs = new Map<string, number>();
  private holds = 0;

  constructor(parts: GarbageParts) {
    this.parts = parts;
  }

  /** Files that the catalog just stopped to name. */
  add(keys: readonly string[]): void {
    for (const key of keys) this.replacedMs.set(key, this.parts.monoMs());
  }

  /**
   * What the catalog names from now on is not deleted until the returned function is called: a
   * backup copies what it named at one moment. (Deletions under way are of files that it has
   * stopped to name.)
   */
  hold(): () => void {
    this.holds += 1;
    let held = true;
    return () => {
      if (held) this.holds -= 1;
      held = false;
    };
  }

  /** Deletes what nobody reads any more; answers how many files are left. Rejects if one cannot. */
  async collect(): Promise<number> {
    const { catalog, objects, reads } = this.parts;
    const all = await catalog.garbage();
    if (this.holds > 0) return all.length;
    const free = all.filter((key) => {
      const replaced = this.replacedMs.get(key);
      return replaced === undefined || reads.areOver(replaced);
    });
    const deleted: string[] = [];
    try {
      for (const key of free) {
        await objects.delete(key);
        deleted.push(key);
      }
    } finally {
      if (deleted.length > 0) await catalog.forgetGarbage(deleted);
      for (const key of deleted) this.replacedMs.delete(key);
    }
    return all.length - deleted.length;
  }
}

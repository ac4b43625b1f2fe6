import { known } from '../../base/assert.js';
import { Fault } from '../../fault/fault.js';
import type { Database } from './database.js';

/**
 * The numbers of partitions between their first span and their commit.
 *
 * What this process staged is remembered, so that a sweep leaves a flush under way alone; what it
 * does not remember was left by a crash. That holds because only the holder of the data
 * directory's lock stages and sweeps.
 */
export class Staging {
  private readonly lastUse = new Map<string, number>();
  private readonly db: Database;
  private readonly idleMs: number;
  private readonly monoMs: () => number;

  /** @param idleMs what was staged and not committed for so long was given up */
  constructor(db: Database, idleMs: number, monoMs: () => number) {
    this.db = db;
    this.idleMs = idleMs;
    this.monoMs = monoMs;
  }

  /** The number of a partition whose spans are about to be stored. */
  number(id: string): number {
    this.lastUse.set(id, this.monoMs());
    return this.find(id) ?? this.give(id);
  }

  /**
   * The number of a partition that is about to become visible; call it within the commit.
   * Rejects with `internal` if its spans were swept meanwhile: without them reads would miss rows.
   */
  take(id: string): number {
    const staged = this.find(id);
    if (staged === undefined && this.lastUse.has(id)) {
      throw new Fault('internal', `the spans of partition ${id} are gone: stage a new partition`);
    }
    const seq = staged ?? this.give(id);
    this.db.run('DELETE FROM staged WHERE seq = ?', seq);
    return seq;
  }

  /** Moves what was given up or left by a crash to the dead, within a transaction. */
  bury(): void {
    const stale = this.monoMs() - this.idleMs;
    const rows = this.db.all<{ seq: number; id: string }>('SELECT seq, id FROM staged');
    for (const { seq, id } of rows) {
      const last = this.lastUse.get(id);
      if (last !== undefined && last > stale) continue;
      this.db.run('DELETE FROM staged WHERE seq = ?', seq);
      this.db.run('INSERT INTO dead VALUES (?)', seq);
    }
    this.forgetCommitted();
  }

  private forgetCommitted(): void {
    for (const id of this.lastUse.keys()) {
      if (this.db.get('SELECT 1 FROM partitions WHERE id = ?', id)) this.lastUse.delete(id);
    }
  }

  private find(id: string): number | undefined {
    return this.db.get<{ seq: number }>('SELECT seq FROM staged WHERE id = ?', id)?.seq;
  }

  private give(id: string): number {
    const sql = 'INSERT INTO staged (id) VALUES (?) RETURNING seq';
    return known(this.db.get<{ seq: number }>(sql, id), `number of ${id}`).seq;
  }
}

import type { Auth } from '../auth/auth.js';
import type { Keys } from '../auth/keys.js';
import type { BackupReport } from '../backup/create.js';
import type { Clock } from '../base/clock.js';
import { Fault } from '../fault/fault.js';
import type { Forget } from '../memory/forget.js';
import type { Logger } from '../telemetry/log.js';
import type { Transfer } from '../transfer/transfer.js';
import type { QuarantinedFile } from '../upkeep/give-up.js';
import type { CompactOptions, CompactProgress, CompactReport, Upkeep } from '../upkeep/upkeep.js';
import type { BackupOrder, Backups } from './backup.js';
import type { Opened } from './opened.js';

/** What an operator may do to a running server, through the control socket or offline. */
export interface OperatorParts {
  keys: Keys;
  forget: Forget;
  auth: Auth;
  clock: Clock;
  log: Logger;
  upkeep: Upkeep;
  backups: Backups;
  transfer: Transfer;
}

export class Operator {
  private readonly opened: Opened;
  private readonly parts: OperatorParts;

  constructor(opened: Opened, parts: OperatorParts) {
    this.opened = opened;
    this.parts = parts;
  }

  /** Memories out and in; see transfer/transfer.ts. */
  get transfer(): Transfer {
    return this.parts.transfer;
  }

  /** Moves all that was acknowledged so far into files. */
  flush(): Promise<void> {
    return this.opened.flusher.flushSoFar();
  }

  /** Re-reads every file; see store/parquet/verify.ts. */
  verify(options: Parameters<Opened['store']['verify']>[0]): ReturnType<Opened['store']['verify']> {
    return this.opened.store.verify(options);
  }

  /** Erases what is pending and merges small files, now; see upkeep/upkeep.ts. */
  async compact(
    options: CompactOptions,
    onProgress: (progress: CompactProgress) => void,
  ): Promise<CompactReport> {
    if (options.dryRun !== true) await this.flush();
    return this.parts.upkeep.compact(options, onProgress);
  }

  /** The damaged files, and what is lost with each; see upkeep/give-up.ts. */
  quarantined(): Promise<QuarantinedFile[]> {
    return this.parts.upkeep.quarantined();
  }

  /** Gives damaged files up for good. Rejects with `not_found`. @param keys null = all */
  async dropQuarantined(keys: readonly string[] | null): Promise<QuarantinedFile[]> {
    const dropped = await this.parts.upkeep.dropQuarantined(keys);
    for (const file of dropped) this.parts.log.warn({ ...file }, 'a damaged file was given up');
    return dropped;
  }

  /** Copies everything to another place; see backup/create.ts. */
  backup(order: BackupOrder): Promise<BackupReport> {
    return this.parts.backups.create(order);
  }

  /**
   * Revokes the organization's keys, then erases its events: in this order, so that nothing is
   * acknowledged after the erasure. Rejects with `not_found`.
   */
  async deleteOrg(idOrName: string): Promise<{ id: string; name: string; deleted: number }> {
    const { metadata } = this.opened;
    const org = await metadata.orgs.find(idOrName);
    if (org === null) throw new Fault('not_found', `there is no organization "${idOrName}"`);
    await metadata.orgs.delete(org.id, this.parts.clock.nowUs());
    this.parts.auth.forget();
    const { deleted } = await this.parts.forget.matching({ orgId: org.id, floorUs: null }, {});
    return { id: org.id, name: org.name, deleted };
  }
}

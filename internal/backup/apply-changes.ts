import type { Change, FailedChange } from '../metadata/changes.js';
import type { Metadata } from '../metadata/metadata.js';
import { codeOf } from '../objects/local.js';
import type { Objects } from '../objects/objects.js';
import { changesFolder, decodeChanges, parseChangesKey } from './changes.js';
import type { Section } from './incarnation.js';
import type { Manifest } from './manifest.js';
import { BadShipment } from './shipment.js';

export interface ChangesInput {
  objects: Objects;
  metadata: Metadata;
  manifest: Manifest;
  sections: readonly Section[];
  untilUs: number | null;
}

/** Brings the control tables of a restored database to a later time. */
export async function applyChanges(
  input: ChangesInput,
): Promise<{ applied: number; gaps: string[] }> {
  const { metadata, manifest, sections } = input;
  const run = new ChangesRun(input);
  const after = await metadata.changes.sequence();
  for (const section of sections) {
    // Numbers are those of one life; all of a later one came after the backup.
    await run.follow(section, section.incarnation === manifest.incarnation ? after : null);
  }
  await run.retry();
  return { applied: run.applied, gaps: run.gaps };
}

class ChangesRun {
  applied = 0;
  readonly gaps: string[] = [];
  private readonly input: ChangesInput;
  private failed: FailedChange[] = [];

  constructor(input: ChangesInput) {
    this.input = input;
  }

  /** @param from the number up to which the database has them; null: it has none of this life */
  async follow({ incarnation, untilUs }: Section, from: number | null): Promise<void> {
    const boundUs = Math.min(untilUs ?? Infinity, this.input.untilUs ?? Infinity);
    let reached = from;
    for (const key of await this.keysOf(incarnation, from ?? 0)) {
      const batch = await this.read(key);
      if (batch === null) continue;
      if (reached !== null && batch.after > reached) {
        this.gaps.push(`changes of keys, agents or sessions before ${key} were not sent here`);
      }
      reached = batch.through;
      await this.apply(batch.changes.filter((change) => applies(boundUs, batch.sinceUs, change)));
    }
  }

  /** What could not be applied for the order may be now. */
  async retry(): Promise<void> {
    const { failed } = this;
    this.failed = [];
    await this.apply(failed.map(({ change }) => change));
    for (const { change, why } of this.failed) {
      this.gaps.push(`the change of ${change.id} in ${change.kind}: ${why}`);
    }
  }

  private async apply(changes: readonly Change[]): Promise<void> {
    const failed = await this.input.metadata.changes.apply(changes);
    this.failed.push(...failed);
    this.applied += changes.length - failed.length;
  }

  private async keysOf(incarnation: string, from: number): Promise<string[]> {
    const keys: string[] = [];
    for await (const { key } of this.input.objects.list(changesFolder(incarnation))) {
      if ((parseChangesKey(key)?.through ?? 0) > from) keys.push(key);
    }
    return keys.sort();
  }

  private async read(key: string) {
    try {
      return await decodeChanges(await this.input.objects.get(key));
    } catch (error) {
      const gone = codeOf(error) === 'ENOENT';
      if (!gone && !(error instanceof BadShipment)) throw error;
      this.gaps.push(`${key} is ${gone ? 'missing' : 'damaged'}`);
      return null;
    }
  }
}

/**
 * A row that is there since before the time, and changed again after it within one batch, comes as
 * it was a little later rather than not at all.
 */
function applies(boundUs: number, sinceUs: number, { atUs, row }: Change): boolean {
  if (atUs <= boundUs) return true;
  const created = row?.created_us;
  return sinceUs <= boundUs && typeof created === 'number' && created <= boundUs;
}

import { US_PER_MS } from '../base/clock.js';
import type { Objects } from '../objects/objects.js';
import { CHANGES } from './changes.js';
import { pruneLedger } from './ledger.js';
import { LOG } from './shipment.js';
import { entriesOf } from './target.js';

/** The clocks of server and target may differ by so much. */
const SKEW_MS = 3_600_000;

/**
 * Removes what was sent and is not needed any more: the log and the changes before the newest
 * backup that is older than `fromUs`, so that every moment since can be restored; of the ledger
 * what every backup already has. Nothing goes while there is no such backup.
 */
export async function pruneShipped(objects: Objects, fromUs: number): Promise<number> {
  const entries = await entriesOf(objects);
  const times = entries.flatMap(({ manifest }) => manifest?.createdUs ?? []);
  const before = times.filter((us) => us <= fromUs);
  if (before.length === 0) return 0;
  const beforeMs = Math.max(...before) / US_PER_MS - SKEW_MS;
  let removed = 0;
  for (const folder of [LOG, CHANGES]) {
    const old: string[] = [];
    for await (const { key, modifiedMs } of objects.list(folder)) {
      if (modifiedMs < beforeMs) old.push(key);
    }
    for (const key of old) await objects.delete(key);
    removed += old.length;
  }
  return removed + (await pruneLedger(objects, Math.min(...times)));
}

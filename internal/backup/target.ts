import { US_PER_MS } from '../base/clock.js';
import { Fault } from '../fault/fault.js';
import { codeOf } from '../objects/local.js';
import type { Objects } from '../objects/objects.js';
import {
  BACKUPS,
  BadManifest,
  databaseKey,
  decodeManifest,
  isBackupId,
  type Manifest,
  manifestKey,
  markerKey,
  msOfBackup,
} from './manifest.js';
import { inParallel } from './parallel.js';

/** What lies below one folder of backups/. */
export interface Entry {
  id: string;
  /** Null: it was never finished (or is being made), or its manifest cannot be believed. */
  manifest: Manifest | null;
  /** Why it cannot be believed. */
  problem: string | null;
  /** The newest of its objects, milliseconds since 1970 by the clock of the target. */
  modifiedMs: number;
  keys: string[];
}

const READS_AT_ONCE = 8;

/** Everything below backups/, newest first; what was not finished too. */
export async function entriesOf(objects: Objects): Promise<Entry[]> {
  const entries = new Map<string, Entry>();
  for await (const { key, modifiedMs } of objects.list(BACKUPS)) {
    const id = key.split('/')[1];
    if (!isBackupId(id)) continue;
    const entry = entries.get(id) ?? { id, manifest: null, problem: null, modifiedMs: 0, keys: [] };
    entry.keys.push(key);
    entry.modifiedMs = Math.max(entry.modifiedMs, modifiedMs);
    entries.set(id, entry);
  }
  const all = [...entries.values()].sort((a, b) => (a.id < b.id ? 1 : -1));
  const finished = all.filter(({ id, keys }) => keys.includes(manifestKey(id)));
  await inParallel(finished, READS_AT_ONCE, async (entry) => {
    try {
      entry.manifest = await readManifest(objects, entry.id);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return;
      if (!(error instanceof BadManifest)) throw error;
      entry.problem = error.message;
    }
  });
  return all;
}

/** When the oldest backup was begun, whole or not; `nowUs` if there is none. */
export async function oldestBackupUs(objects: Objects, nowUs: number): Promise<number> {
  let oldestUs = nowUs;
  for await (const { key } of objects.list(BACKUPS)) {
    const id = key.split('/')[1];
    if (isBackupId(id)) oldestUs = Math.min(oldestUs, msOfBackup(id) * US_PER_MS);
  }
  return oldestUs;
}

/** Rejects with BadManifest, or an error whose `code` is ENOENT. */
export async function readManifest(objects: Objects, id: string): Promise<Manifest> {
  const text = new TextDecoder().decode(await objects.get(manifestKey(id)));
  const manifest = decodeManifest(text);
  if (manifest.id !== id) throw new BadManifest(`it is that of ${manifest.id}`);
  return manifest;
}

/**
 * The backup of that id; of `latest` the newest one that is whole, made at or before `untilUs`.
 * Rejects with `not_found`, or an Error for a manifest that cannot be believed.
 */
export async function findBackup(
  objects: Objects,
  which: string,
  untilUs = Number.POSITIVE_INFINITY,
): Promise<Manifest> {
  if (which !== 'latest') return named(objects, which);
  const found = (await entriesOf(objects)).find(
    ({ manifest }) => manifest !== null && manifest.createdUs <= untilUs,
  );
  if (found?.manifest) return found.manifest;
  const when = Number.isFinite(untilUs) ? ' made before that time' : '';
  throw new Fault('not_found', `there is no backup${when} in this place`);
}

async function named(objects: Objects, id: string): Promise<Manifest> {
  if (!isBackupId(id)) {
    throw new Fault('invalid_field', `not the id of a backup like bak_01J…, or "latest": ${id}`);
  }
  try {
    return await readManifest(objects, id);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new Fault('not_found', `there is no backup ${id}`);
    if (!(error instanceof BadManifest)) throw error;
    throw new Error(`the manifest of ${id} is damaged: ${error.message}`, { cause: error });
  }
}

/** Says that a backup is under way, so that nothing it counts on is pruned. */
export async function mark(objects: Objects, id: string): Promise<void> {
  const text = `${JSON.stringify({ started: new Date(msOfBackup(id)).toISOString() })}\n`;
  await objects.put(markerKey(id), new TextEncoder().encode(text));
}

/** Removes what is left of a backup that was not finished. */
export async function discard(objects: Objects, id: string): Promise<void> {
  await objects.delete(databaseKey(id));
  await objects.delete(markerKey(id));
}

import { US_PER_MS } from '../base/clock.js';
import type { ObjectInfo, Objects } from '../objects/objects.js';
import { BACKUPS, FILES, manifestKey, objectKey } from './manifest.js';
import { type KeepPolicy, keptBy } from './policy.js';
import { type Entry, entriesOf } from './target.js';

export interface PruneOptions {
  policy: KeepPolicy;
  nowUs: number;
  /** Objects that no backup names stay so long: a backup under way may have just written them. */
  graceMs: number;
  dryRun: boolean;
}

export interface PruneReport {
  kept: string[];
  removed: string[];
  /** Objects that no backup names any more. */
  objects: number;
  bytes: number;
  /** Why objects that no backup names were left where they are; null if they were not. */
  left: string | null;
  /** They were left for a damaged manifest, and will be until somebody removes it. */
  damaged: boolean;
}

/** An unfinished backup that wrote nothing for so long is not under way any more. */
const ABANDONED_MS = 24 * 3_600_000;
/** The target is asked again whether a backup began, after so many deletions. */
const DELETIONS_BETWEEN_LOOKS = 100;

/**
 * Removes backups that the policy does not keep: their manifests first, after which they do not
 * exist; then what no other backup names. A crash anywhere leaves objects that the next prune
 * finds. While a backup is made nothing is deleted that it may count on.
 */
export async function prune(objects: Objects, options: PruneOptions): Promise<PruneReport> {
  const { policy, nowUs, graceMs, dryRun } = options;
  const nowMs = nowUs / US_PER_MS;
  const entries = await entriesOf(objects);
  const whole = entries.flatMap(({ manifest }) => (manifest === null ? [] : [manifest]));
  const kept = keptBy(policy, whole);
  const goes = ({ manifest, id }: Entry) => manifest !== null && !kept.has(id);
  if (!dryRun) for (const entry of entries.filter(goes)) await removeEntry(objects, entry);
  const report: PruneReport = {
    kept: whole.filter(({ id }) => kept.has(id)).map(({ id }) => id),
    removed: entries.filter(goes).map(({ id }) => id),
    objects: 0,
    bytes: 0,
    left: null,
    damaged: entries.some(({ problem }) => problem !== null),
  };
  // Listed before the backups: an object of a backup that began in between is young or is named.
  const old = await oldObjects(objects, nowMs - graceMs);
  const after = (await entriesOf(objects)).filter((entry) => !goes(entry));
  report.left = reasonToWait(after, nowMs);
  if (report.left !== null) return report;
  if (!dryRun) for (const entry of after.filter(isUnfinished)) await removeEntry(objects, entry);
  const known = new Set(entries.concat(after).map(({ id }) => id));
  await removeObjects(objects, unnamed(old, after), { report, options, known });
  return report;
}

function isUnfinished({ manifest, problem }: Entry): boolean {
  return manifest === null && problem === null;
}

function reasonToWait(entries: readonly Entry[], nowMs: number): string | null {
  const broken = entries.find(({ problem }) => problem !== null);
  if (broken !== undefined) {
    return `nobody knows what ${broken.id} needs: its manifest is damaged (${broken.problem})`;
  }
  const underWay = entries.find(
    (entry) => isUnfinished(entry) && nowMs - entry.modifiedMs < ABANDONED_MS,
  );
  if (underWay === undefined) return null;
  return `${underWay.id} is being made, or was given up less than a day ago`;
}

/** The manifest first: without it the rest is no backup. */
async function removeEntry(objects: Objects, { id, keys }: Entry): Promise<void> {
  await objects.delete(manifestKey(id));
  for (const key of keys) await objects.delete(key);
}

async function oldObjects(objects: Objects, beforeMs: number): Promise<ObjectInfo[]> {
  const old: ObjectInfo[] = [];
  for await (const info of objects.list(FILES)) if (info.modifiedMs < beforeMs) old.push(info);
  return old;
}

function unnamed(infos: readonly ObjectInfo[], entries: readonly Entry[]): ObjectInfo[] {
  const files = entries.flatMap(({ manifest }) => manifest?.files ?? []);
  const named = new Set(files.map(({ sha256 }) => objectKey(sha256)));
  return infos.filter(({ key }) => !named.has(key));
}

/** A backup that nobody knew of when it was decided what may go. */
async function newcomer(objects: Objects, known: ReadonlySet<string>): Promise<string | null> {
  for await (const { key } of objects.list(BACKUPS)) {
    const id = key.split('/')[1];
    if (!known.has(id)) return id;
  }
  return null;
}

async function removeObjects(
  objects: Objects,
  infos: readonly ObjectInfo[],
  { report, options, known }: { report: PruneReport; options: PruneOptions; known: Set<string> },
): Promise<void> {
  for (const [i, { key, bytes }] of infos.entries()) {
    if (i > 0 && i % DELETIONS_BETWEEN_LOOKS === 0) {
      const begun = await newcomer(objects, known);
      if (begun !== null) report.left = `${begun} began meanwhile`;
      if (begun !== null) return;
    }
    if (!options.dryRun) await objects.delete(key);
    report.objects += 1;
    report.bytes += bytes;
  }
}

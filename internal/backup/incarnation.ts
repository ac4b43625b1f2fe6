import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../objects/local.js';
import type { Objects } from '../objects/objects.js';

/**
 * One life of a data directory. A restore begins a new one, so that what it sends to the target
 * never meets what the lost server sent under the same positions of the log.
 */
export interface Incarnation {
  /** A ULID. */
  id: string;
  /** The life that it goes on from, and the last position of the log that both share. */
  parent: string | null;
  position: number;
  createdUs: number;
  /** The restore that began it left out what came after this time; null: it left out nothing. */
  untilUs: number | null;
}

const FILE = 'incarnation';
export const LINEAGE = 'lineage';

/** Where the target keeps what an incarnation goes on from. */
export function lineageKey(id: string): string {
  return `${LINEAGE}/${id}.json`;
}

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

/** Null if the text says none. */
export function decodeIncarnation(text: string): Incarnation | null {
  let value: Partial<Incarnation> | null;
  try {
    value = JSON.parse(text) as Partial<Incarnation> | null;
  } catch {
    return null;
  }
  const { id, parent, position, createdUs, untilUs } = value ?? {};
  const named = ULID.test(id ?? '') && (parent === null || ULID.test(parent ?? ''));
  const timed = Number.isSafeInteger(createdUs) && (untilUs === null || Number.isFinite(untilUs));
  return named && timed && Number.isSafeInteger(position) ? (value as Incarnation) : null;
}

/** The incarnation of a data directory; null for one that never had any. Throws if unreadable. */
export function readIncarnation(dataDir: string): Incarnation | null {
  try {
    return decodeIncarnation(readFileSync(join(dataDir, FILE), 'utf8'));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
}

/** Durable: whole or not at all. */
export function writeIncarnation(dataDir: string, incarnation: Incarnation): void {
  writeSmall(join(dataDir, FILE), JSON.stringify(incarnation), true);
}

/** That of the directory; `make` makes one if it never had any. */
export function openIncarnation(dataDir: string, make: () => Incarnation): Incarnation {
  const known = readIncarnation(dataDir);
  if (known !== null) return known;
  const made = make();
  writeIncarnation(dataDir, made);
  return made;
}

/** All that the target knows, by id. An entry that cannot be read is left out. */
export async function readLineage(objects: Objects): Promise<Map<string, Incarnation>> {
  const lineage = new Map<string, Incarnation>();
  for await (const { key } of objects.list(LINEAGE)) {
    const incarnation = decodeIncarnation(Buffer.from(await objects.get(key)).toString('utf8'));
    if (incarnation !== null) lineage.set(incarnation.id, incarnation);
  }
  return lineage;
}

/** A stretch of the log: the records of one incarnation up to a position. */
export interface Section {
  incarnation: string;
  /** Infinity for the newest. */
  through: number;
  /** What came later does not belong to it; null: no bound. */
  untilUs: number | null;
}

/**
 * The lives to follow from a backup on: the newest one that goes on from it, and those between.
 * Pure. A life that left before the backup is another history.
 */
export function sectionsFrom(
  lineage: ReadonlyMap<string, Incarnation>,
  backup: { incarnation: string; position: number },
  untilUs: number | null,
): Section[] {
  const paths = [...lineage.values()]
    .filter(({ createdUs }) => untilUs === null || createdUs <= untilUs)
    .map((tip) => ({ tip, path: pathTo(lineage, tip, backup) }))
    .filter(({ path }) => path !== null)
    .sort((a, b) => b.tip.createdUs - a.tip.createdUs || (a.tip.id < b.tip.id ? 1 : -1));
  const sections = paths[0]?.path ?? [];
  const last = sections.at(-1)?.incarnation ?? backup.incarnation;
  return [...sections.slice(0, -1), { incarnation: last, through: Infinity, untilUs: null }];
}

/** From the backup's incarnation to `tip`; null if the tip does not go on from the backup. */
function pathTo(
  lineage: ReadonlyMap<string, Incarnation>,
  tip: Incarnation,
  backup: { incarnation: string; position: number },
): Section[] | null {
  const path: Section[] = [{ incarnation: tip.id, through: Infinity, untilUs: null }];
  let at: Incarnation | undefined = tip;
  // A chain is no longer than the lineage: a circle would be a forgery.
  for (let steps = 0; steps <= lineage.size && at !== undefined; steps++) {
    if (at.id === backup.incarnation) return path;
    if (at.parent === null || at.position < backup.position) return null;
    const { parent, position, untilUs, createdUs } = at as Incarnation & { parent: string };
    path.unshift({ incarnation: parent, through: position, untilUs: untilUs ?? createdUs });
    if (parent === backup.incarnation) return path;
    at = lineage.get(parent);
  }
  return null;
}

/** How far the log is in the target: a hint, as the target's listing says it too. */
export interface ShippedMark {
  incarnation: string;
  stream: string;
  position: number;
}

const MARK = 'shipped';

export function readMark(dataDir: string): ShippedMark | null {
  try {
    const mark = JSON.parse(readFileSync(join(dataDir, MARK), 'utf8')) as Partial<ShippedMark>;
    return Number.isSafeInteger(mark?.position) ? (mark as ShippedMark) : null;
  } catch {
    // Absent, or cut by a crash: the log is read from where the catalog stands.
    return null;
  }
}

/** Not synced: an older one, or none, costs a look at the target. */
export function writeMark(dataDir: string, mark: ShippedMark): void {
  writeSmall(join(dataDir, MARK), JSON.stringify(mark), false);
}

function writeSmall(path: string, text: string, flush: boolean): void {
  const draft = `${path}.tmp`;
  rmSync(draft, { force: true });
  writeFileSync(draft, `${text}\n`, { mode: 0o600, flush });
  renameSync(draft, path);
}

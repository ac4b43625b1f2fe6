import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Catalog } from '../../metadata/metadata.js';
import { codeOf, type LocalObjects } from '../../objects/local.js';
import type { Inspector } from './inspector.js';
import { NOTE_KEY } from './note.js';

export interface SweepParts {
  catalog: Catalog;
  objects: LocalObjects;
  inspector: Inspector;
  tmpDir: string;
  inFlight: ReadonlySet<string>;
  nowMs: () => number;
}

export interface SweepReport {
  temporaries: number;
  orphans: number;
  /** Files that the catalog does not name and that were left, with the reason. */
  kept: { key: string; reason: string }[];
}

/** Younger files may belong to somebody at work. */
const GRACE_MS = 3_600_000;
/**
 * A crash leaves the files of one flush. More than so many beside a catalog that names fewer look
 * like a catalog that was lost or restored: then the files may be all there is of the events.
 */
const MAX_SUSPICIOUS = 16;

/**
 * Removes what crashes left: temporary files, and event files that the catalog does not name though
 * it covers their log positions (their batch was stored by a later try, or they were replaced).
 * Rejects, removing nothing further, when a listing or the catalog fails (C7).
 */
export async function sweep(parts: SweepParts): Promise<SweepReport> {
  const temporaries = await sweepTemporaries(parts.tmpDir, parts.nowMs() - GRACE_MS);
  const report: SweepReport = { temporaries, orphans: 0, kept: [] };
  const orphans = await findOrphans(parts);
  if (orphans.keys.length > Math.max(MAX_SUSPICIOUS, orphans.named)) {
    const reason = 'more files than the catalog names: is it the right one?';
    report.kept = orphans.keys.map((key) => ({ key, reason }));
    return report;
  }
  for (const key of orphans.keys) {
    const reason = await reasonToKeep(parts, key);
    if (reason !== null) report.kept.push({ key, reason });
    else if (await parts.objects.delete(key)) report.orphans += 1;
  }
  await parts.catalog.sweepSpans();
  return report;
}

/** Only names that a flush makes: others have their own work in that directory. */
const TEMPORARY = /^[0-9A-HJKMNP-TV-Z]{26}\.(ndjson|parquet)$/;

/** Removes the temporary files of flushes that were last written before; returns how many. */
export async function sweepTemporaries(tmpDir: string, beforeMs: number): Promise<number> {
  let removed = 0;
  for (const name of await readdir(tmpDir)) {
    const path = join(tmpDir, name);
    if (!TEMPORARY.test(name) || (await modifiedMs(path)) >= beforeMs) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed;
}

async function modifiedMs(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    // Gone meanwhile: somebody is at work.
    if (codeOf(error) === 'ENOENT') return Number.POSITIVE_INFINITY;
    throw error;
  }
}

interface Orphans {
  keys: string[];
  /** How many files the catalog names. */
  named: number;
}

async function findOrphans({ catalog, objects, inFlight, nowMs }: SweepParts): Promise<Orphans> {
  const old: string[] = [];
  for await (const { key, modifiedMs } of objects.list('events')) {
    if (nowMs() - modifiedMs >= GRACE_MS && !inFlight.has(key)) old.push(key);
  }
  // Asked after the listing: the other order would take a file committed in between for an orphan.
  const partitions = await catalog.partitions();
  const named = new Set(partitions.map(({ key }) => key));
  // What was replaced is known by name and goes by its own way (garbage.ts).
  const known = new Set([...named, ...(await catalog.garbage())]);
  return { keys: old.filter((key) => !known.has(key)), named: named.size };
}

/** What the note of a file says; see flush.ts. */
interface Note {
  stream: string;
  to: number;
}

async function reasonToKeep(parts: SweepParts, key: string): Promise<string | null> {
  const { inspector, objects, catalog } = parts;
  const inspection = await inspector.inspect(objects.path(key), 'footer').catch(() => null);
  const note = noteOf(inspection?.content?.note);
  if (note === null) return `it has no readable note under "${NOTE_KEY}"`;
  const at = await catalog.position(note.stream);
  return note.to <= at ? null : `it covers the log up to ${note.to}, the catalog up to ${at}`;
}

function noteOf(text: string | undefined): Note | null {
  try {
    const note: unknown = JSON.parse(text ?? '');
    const { stream, to } = note as Partial<Note>;
    return typeof stream === 'string' && typeof to === 'number' ? { stream, to } : null;
  } catch {
    return null;
  }
}
